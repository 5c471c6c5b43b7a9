import { DataError } from '../../errors.js'
import { show } from '../../options.js'
import { describePlace, type Place } from '../example.js'
import { readLines } from './lines.js'
import type { SourceRow } from './row.js'

/**
 * Questions of a SQuAD file, version 1.1 or 2.0 (`data[].paragraphs[].qas[]`), as rows `question`, `context` and, where
 * the file has them, `answers`: a list of `{ text, answer_start }`, empty for a question that cannot be answered, which
 * must say so by `is_impossible`. A row's place is the number of the question in the file, and where it stands there.
 * @throws DataError ERR_DATA_JSON, ERR_DATA_SQUAD naming article, paragraph, question and field; and those of readLines
 */
export async function* readSquad(file: string): AsyncGenerator<SourceRow> {
  let row = 0
  const top = { file, row, part: 'top level (a .json file is read as SQuAD; JSON Lines end in .jsonl)' }
  for (const [a, article] of list(await parse(file), 'data', top).entries()) {
    const inArticle = { file, row, part: `article ${a + 1}${title(article)}` }
    for (const [p, paragraph] of list(article, 'paragraphs', inArticle).entries()) {
      const inParagraph = { file, row, part: `${inArticle.part}, paragraph ${p + 1}` }
      const context = text(paragraph, 'context', inParagraph)
      for (const [q, question] of list(paragraph, 'qas', inParagraph).entries()) {
        const place = { file, row: ++row, part: `${inParagraph.part}, question ${q + 1}${identity(question)}` }
        yield questionRow(context, question, place)
      }
    }
  }
}

function questionRow(context: string, entry: unknown, place: Place): SourceRow {
  const values: Record<string, unknown> = { question: text(entry, 'question', place), context }
  const { answers, is_impossible: impossible = false } = entry as { answers?: unknown; is_impossible?: unknown }
  if (typeof impossible !== 'boolean') throw wrongField(place, 'is_impossible', 'true or false', impossible)
  if (answers !== undefined) {
    const found = list(entry, 'answers', place)
    if (impossible !== (found.length === 0)) {
      const expected = impossible ? 'none where "is_impossible" is true' : 'at least one, or "is_impossible": true'
      throw wrongField(place, 'answers', expected, answers, `${found.length} answers`)
    }
    values.answers = found
  }
  return { names: Object.keys(values), namesPlace: place, values, place }
}

async function parse(file: string): Promise<unknown> {
  const lines: string[] = []
  for await (const line of readLines(file)) lines.push(line)
  try {
    return JSON.parse(lines.join('\n'))
  } catch (cause) {
    throw new DataError(
      'ERR_DATA_JSON',
      `${file}: not valid JSON: ${(cause as Error).message}; JSON Lines end in .jsonl`,
      { file, expected: 'one JSON document in the form of SQuAD' },
      { cause },
    )
  }
}

function list(parent: unknown, field: string, place: Place): readonly unknown[] {
  const found = fieldOf(parent, field)
  if (Array.isArray(found)) return found
  throw wrongField(place, field, 'a list', found)
}

function text(parent: unknown, field: string, place: Place): string {
  const found = fieldOf(parent, field)
  if (typeof found === 'string') return found
  throw wrongField(place, field, 'a string', found)
}

function fieldOf(parent: unknown, field: string): unknown {
  return (parent as Record<string, unknown> | null | undefined)?.[field]
}

/** What the file calls an article or a question, for messages. */
function title(article: unknown): string {
  const found = fieldOf(article, 'title')
  return typeof found === 'string' ? ` (${show(found)})` : ''
}

function identity(question: unknown): string {
  const found = fieldOf(question, 'id')
  return typeof found === 'string' || typeof found === 'number' ? ` (id ${found})` : ''
}

function wrongField(place: Place, field: string, expected: string, found: unknown, shown?: string): DataError {
  const got = shown ?? (found === undefined ? 'nothing' : show(found))
  return new DataError('ERR_DATA_SQUAD', `${describePlace(place)}: "${field}" must be ${expected}, found ${got}`, {
    ...place,
    field,
    found,
    expected,
  })
}
