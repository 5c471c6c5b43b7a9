import { DataError } from '../../errors.js'
import { show } from '../../options.js'
import { describePlace, type Example } from '../example.js'

/** A right answer and its range in the context, in UTF-16 code units. */
export interface Answer {
  readonly text: string
  readonly start: number
  readonly end: number
}

/**
 * The reference answers of a labelled example; none where its question cannot be answered. They come as a list of
 * `{ text, answer_start }` or `{ text, start }`, as one of these, or as columns `{ text: [], answer_start: [] }`.
 *
 * `answer_start` counts characters as SQuAD's files and Python do; files that JavaScript wrote may count UTF-16 code
 * units, which are tried where the text does not stand there. `start` counts UTF-16 code units.
 * @throws DataError ERR_DATA_LABEL for an answer whose text does not stand at its start, or that is none
 */
export function readAnswers(example: Example): Answer[] {
  const { label } = example
  const entries = Array.isArray(label) ? (label as unknown[]) : isColumns(label) ? fromColumns(label) : [label]
  return entries.map((entry, i) => readAnswer(entry, example, `answer ${i + 1}`))
}

/** How `datasets` of Hugging Face keeps the answers of a question. */
interface AnswerColumns {
  readonly text: readonly unknown[]
  readonly answer_start: readonly unknown[]
}

function isColumns(label: unknown): label is AnswerColumns {
  const { text, answer_start } = (label ?? {}) as Partial<AnswerColumns>
  return Array.isArray(text) && Array.isArray(answer_start) && text.length === answer_start.length
}

function fromColumns({ text, answer_start }: AnswerColumns): object[] {
  return text.map((each, i) => ({ text: each, answer_start: answer_start[i] }))
}

function readAnswer(entry: unknown, example: Example, name: string): Answer {
  const context = example.textPair!
  const { text, start, answer_start } = (entry ?? {}) as { text?: unknown; start?: unknown; answer_start?: unknown }
  if (typeof entry !== 'object' || entry === null || typeof text !== 'string')
    throw wrong(example, name, entry, '{ text, answer_start }, or { text, start }')
  if (text === '') throw wrong(example, `the text of ${name}`, text, 'some of the context')
  const given = start ?? answer_start
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 0)
    throw wrong(example, `the start of ${name}`, given, 'a whole number from 0')
  const places = start === undefined ? [unitAt(context, given), given] : [given]
  const found = places.find((at) => context.startsWith(text, at))
  if (found !== undefined) return { text, start: found, end: found + text.length }
  const stands = context.slice(places[0], places[0]! + text.length)
  const elsewhere = context.includes(text) ? 'it stands elsewhere in the context' : 'it is nowhere in the context'
  throw wrong(example, `${name} at ${given}`, stands, `${show(text)}, its text; ${elsewhere}`, { start: given })
}

/** The code unit at which a character begins, counted as Python does; the end for one beyond it. */
function unitAt(text: string, character: number): number {
  let unit = 0
  for (let i = 0; i < character && unit < text.length; i++) unit += text.codePointAt(unit)! > 0xffff ? 2 : 1
  return unit
}

function wrong({ place }: Example, what: string, found: unknown, expected: string, more: object = {}): DataError {
  return new DataError('ERR_DATA_LABEL', `${describePlace(place)}: ${what} is ${show(found)}, expected ${expected}`, {
    ...place,
    field: 'answers',
    found,
    expected,
    ...more,
  })
}
