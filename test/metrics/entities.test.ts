import test from 'ava'
import { findEntities, isEntityTag, scoreEntities, tagAccuracy } from '../../lib/metrics/entities.js'
import { draws } from '../support/draws.js'

const near = (a: number, b: number) => Math.abs(a - b) < 1e-12
const entities = (tags: string) =>
  findEntities(tags.split(' ')).map(({ type, start, end }) => `${type} ${start}-${end}`)

test('where an entity begins and ends', (t) => {
  t.deepEqual(entities('O B-PER I-PER O B-LOC'), ['PER 1-3', 'LOC 4-5'])
  t.deepEqual(entities('B-PER B-PER I-PER'), ['PER 0-1', 'PER 1-3'])
  t.deepEqual(entities('O O'), [])
  // An I- with nothing of its type before it begins an entity.
  t.deepEqual(entities('I-PER I-PER O I-LOC'), ['PER 0-2', 'LOC 3-4'])
  t.deepEqual(entities('B-PER I-LOC I-LOC'), ['PER 0-1', 'LOC 1-3'])
  t.deepEqual(entities('S-PER B-LOC I-LOC E-LOC S-PER I-PER'), ['PER 0-1', 'LOC 1-4', 'PER 4-5', 'PER 5-6'])
  t.deepEqual(entities('B-A-B I-A-B'), ['A-B 0-2'])
})

test('tags that say where an entity is', (t) => {
  for (const tag of ['O', 'B-PER', 'I-x', 'E-A', 'S-A']) t.true(isEntityTag(tag), tag)
  for (const tag of ['', 'NN', 'B', 'B-', 'PER-B', 'o', '-']) t.false(isEntityTag(tag), tag)
})

test('the example of seqeval', (t) => {
  const gold = ['O O O B-MISC I-MISC I-MISC O', 'B-PER I-PER O'].map((tags) => tags.split(' '))
  const predicted = ['O O B-MISC I-MISC I-MISC I-MISC O', 'B-PER I-PER O'].map((tags) => tags.split(' '))
  t.deepEqual(scoreEntities(gold, predicted), { precision: 0.5, recall: 0.5, f1: 0.5 })
  t.is(tagAccuracy(gold, predicted), 0.8)
})

for (const [tags, expected] of [
  [
    ['O', 'B-A', 'I-A', 'B-B', 'I-B'],
    [0.6921119592875318, 0.6938775510204082, 0.6929936305732485, 0.7683333333333333],
  ],
  [
    ['O', 'B-A', 'I-A', 'B-B', 'I-B', 'E-A', 'S-A', 'E-B', 'S-B'],
    [0.7510204081632653, 0.7494908350305499, 0.7502548419979613, 0.735],
  ],
] as const) {
  test(`random sequences of ${tags.length} tags, in any order, as seqeval 1.2`, (t) => {
    const draw = draws()
    const any = () => tags[draw() % tags.length]!
    const gold = Array.from({ length: 30 }, () => Array.from({ length: 20 }, any))
    const predicted = gold.map((row) => row.map((tag) => (draw() % 3 ? tag : any())))
    const { precision, recall, f1 } = scoreEntities(gold, predicted)
    const found = [precision, recall, f1, tagAccuracy(gold, predicted)]
    t.true(
      found.every((value, i) => near(value, expected[i]!)),
      found.join(' '),
    )
  })
}

test('an entity counts once a sentence, and only in its own', (t) => {
  t.is(
    scoreEntities(
      [
        ['B-A', 'O'],
        ['O', 'O'],
      ],
      [
        ['O', 'O'],
        ['B-A', 'O'],
      ],
    ).f1,
    0,
  )
  t.deepEqual(scoreEntities([['O']], [['O']]), { precision: 0, recall: 0, f1: 0 })
})
