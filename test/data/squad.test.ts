import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { questionFields } from '../../lib/data/fields.js'
import { readExamples, type ReadOptions } from '../../lib/data/readers/index.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

const answers = [
  { text: 'red', answer_start: 4 },
  { text: 'the red', answer_start: 0 },
]
const question = { question: 'Which colour?', id: 'q1', answers }
const paragraph = { context: 'the red cat', qas: [question, { ...question, id: 'q2', question: 'And this?' }] }
const squad = { version: '1.1', data: [{ title: 'Cats', paragraphs: [paragraph] }, { paragraphs: [paragraph] }] }

async function read(t: ExecutionContext, content: unknown, options: ReadOptions = {}, name = 'dev.json') {
  const folder = await temporaryFolder(t)
  const bytes = content instanceof Uint8Array || typeof content === 'string' ? content : JSON.stringify(content)
  await writeFiles(folder, { [name]: bytes })
  return readExamples(join(folder, name), { fields: questionFields, ...options })
}

test('questions, their contexts and answers, and where they stand', async (t) => {
  const examples = await read(t, squad)
  t.is(examples.length, 4)
  t.like(examples[1], { text: 'And this?', textPair: 'the red cat', label: answers })
  t.deepEqual(
    examples.map(({ place: { row, part } }) => [row, part]),
    [
      [1, 'article 1 ("Cats"), paragraph 1, question 1 (id q1)'],
      [2, 'article 1 ("Cats"), paragraph 1, question 2 (id q2)'],
      [3, 'article 2, paragraph 1, question 1 (id q1)'],
      [4, 'article 2, paragraph 1, question 2 (id q2)'],
    ],
  )
})

test('gzip, a byte-order mark, many lines, the first questions only', async (t) => {
  const content = `\ufeff${JSON.stringify(squad, null, 2).replaceAll('\n', '\r\n')}`
  t.is((await read(t, gzipSync(content), {}, 'dev.json.gz')).length, 4)
  t.is((await read(t, content, { limit: 3 })).length, 3)
})

test('questions to answer have no answers', async (t) => {
  const qas = [{ question: 'Who?' }]
  const examples = await read(t, { data: [{ paragraphs: [{ context: 'x', qas }] }] }, { needsLabel: false })
  t.deepEqual([examples[0]!.text, examples[0]!.textPair, examples[0]!.label], ['Who?', 'x', undefined])
})

test('questions of SQuAD 2.0 that cannot be answered', async (t) => {
  const impossible = { question: 'Which?', is_impossible: true, answers: [], plausible_answers: answers }
  const of = (entry: object) => ({ data: [{ paragraphs: [{ ...paragraph, qas: [entry] }] }] })
  t.deepEqual((await read(t, of(impossible)))[0]!.label, [])
  t.deepEqual((await read(t, of({ ...question, is_impossible: false })))[0]!.label, answers)
  const refuse = (entry: object, message: RegExp) => t.throwsAsync(read(t, of(entry)), { message })
  await refuse(
    { ...question, answers: [] },
    /"answers" must be at least one, or "is_impossible": true, found 0 answers/,
  )
  await refuse({ ...question, is_impossible: true }, /"answers" must be none where .* is true, found 2 answers/)
  await refuse({ ...question, is_impossible: 'no' }, /"is_impossible" must be true or false, found "no"/)
})

test('files that cannot be used, with file, place, field, what was found and expected', async (t) => {
  const refuse = async (content: unknown, code: string, message: RegExp, details?: object) => {
    const error = await t.throwsAsync(read(t, content), { code, message })
    if (details) t.like(error, { details })
  }
  const inArticle = (article: unknown) => ({ data: [squad.data[0], article] })
  const inParagraph = (other: unknown) => inArticle({ title: 'T', paragraphs: [other] })
  const asQuestion = (other: unknown) => inParagraph({ context: 'the red cat', qas: [other] })
  await refuse('{"data": [', 'ERR_DATA_JSON', /dev\.json: not valid JSON: .*\.jsonl/)
  await refuse('', 'ERR_DATA_JSON', /not valid JSON/)
  await refuse([], 'ERR_DATA_SQUAD', /dev\.json, top level .*: "data" must be a list, found nothing/)
  await refuse('null', 'ERR_DATA_SQUAD', /"data" must be a list, found nothing/)
  await refuse({ data: {} }, 'ERR_DATA_SQUAD', /"data" must be a list, found an object/)
  await refuse({ data: [] }, 'ERR_DATA_EMPTY', /no rows/)
  await refuse(inArticle({ title: 'T' }), 'ERR_DATA_SQUAD', /dev\.json, article 2 \("T"\): "paragraphs" must be a list/)
  await refuse(inArticle(null), 'ERR_DATA_SQUAD', /article 2: "paragraphs" must be a list, found nothing/)
  await refuse(inParagraph({ qas: [] }), 'ERR_DATA_SQUAD', /article 2 \("T"\), paragraph 1: "context" must be a string/)
  await refuse(
    inParagraph({ context: 'x', qas: 'y' }),
    'ERR_DATA_SQUAD',
    /paragraph 1: "qas" must be a list, found "y"/,
  )
  await refuse(
    asQuestion({ ...question, question: 7 }),
    'ERR_DATA_SQUAD',
    /dev\.json, article 2 \("T"\), paragraph 1, question 1 \(id q1\): "question" must be a string, found 7/,
    { row: 3, field: 'question', found: 7, expected: 'a string' },
  )
  await refuse(asQuestion(undefined), 'ERR_DATA_SQUAD', /question 1: "question" must be a string, found nothing/)
  await refuse(asQuestion({ ...question, answers: 'red' }), 'ERR_DATA_SQUAD', /"answers" must be a list, found "red"/)
  await refuse(
    asQuestion({ question: 'Who?', id: 5 }),
    'ERR_DATA_ROW',
    /question 1 \(id 5\): no field for the label: expected "answers", found "question", "context"/,
  )
  await refuse(Buffer.from([0x7b, 0xff]), 'ERR_DATA_ENCODING', /line 1: not valid UTF-8/)
})

const files = { 'squad_v1.1/dev.json.gz': 10570, 'squadshifts_newwiki/train.json.gz': 7938 }
for (const [name, count] of Object.entries(files)) {
  const file = sharedPath('data', ...name.split('/'))
  testUnless(lacksShared(file), `all questions of ${name}`, async (t) => {
    const examples = await readExamples(file!, { fields: questionFields })
    t.is(examples.length, count)
    t.is(new Set(examples.map(({ place }) => place.part)).size, count)
  })
}
