/**
 * Entities in tags of words, and how many of them are found.
 *
 * Tags are read as seqeval's default mode and the CoNLL evaluation script do: `O` is outside; `B-PER` begins an entity of
 * type PER; `I-PER` goes on with one of the same type, and begins one where there is none (after `O`, or after another
 * type). So both IOB2 and the older IOB can be read. `E-` (the last word) and `S-` (a single one) of IOBES are read too.
 * An entity is right where type, first and last word are.
 */

import { f1, ratio } from './ratio.js'

export interface Entity {
  readonly type: string
  /** First word, from 0. */
  readonly start: number
  /** The word after the last one. */
  readonly end: number
}

/** True for a tag that says where an entity is. */
export function isEntityTag(tag: string): boolean {
  return tag === 'O' || /^[BIES]-./s.test(tag)
}

/** The entities of one sentence, in order. @param tags one a word, each of `isEntityTag` */
export function findEntities(tags: readonly string[]): Entity[] {
  const entities: Entity[] = []
  let open: { type: string; start: number } | undefined
  let before = 'O'
  for (const [i, tag] of [...tags, 'O'].entries()) {
    const type = tag.slice(2)
    const goesOn = open?.type === type && 'IE'.includes(tag[0]!) && 'BI'.includes(before[0]!)
    if (!goesOn) {
      if (open) entities.push({ ...open, end: i })
      open = tag === 'O' ? undefined : { type, start: i }
    }
    before = tag
  }
  return entities
}

export interface EntityScores {
  readonly precision: number
  readonly recall: number
  readonly f1: number
}

/** Over all entities of all sentences together (micro). */
export function scoreEntities(
  gold: readonly (readonly string[])[],
  predicted: readonly (readonly string[])[],
): EntityScores {
  let right = 0
  let golds = 0
  let predictions = 0
  for (const [i, tags] of gold.entries()) {
    const key = ({ type, start, end }: Entity) => `${start} ${end} ${type}`
    const known = new Set(findEntities(tags).map(key))
    const found = findEntities(predicted[i]!).map(key)
    golds += known.size
    predictions += found.length
    right += found.filter((entity) => known.has(entity)).length
  }
  return { precision: ratio(right, predictions), recall: ratio(right, golds), f1: f1(right, golds, predictions) }
}

/** Share of words whose tag is right. */
export function tagAccuracy(gold: readonly (readonly string[])[], predicted: readonly (readonly string[])[]): number {
  let right = 0
  let words = 0
  for (const [i, tags] of gold.entries()) {
    words += tags.length
    for (const [j, tag] of tags.entries()) if (tag === predicted[i]![j]) right++
  }
  return ratio(right, words)
}
