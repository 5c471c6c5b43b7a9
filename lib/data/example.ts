/** Where an example comes from, for messages: file and 1-based line, or the row of a list. */
export interface Place {
  readonly file?: string
  /** 1-based line of the file, or 1-based position in an iterable. */
  readonly row: number
}

/** One row of data before its label is understood. */
export interface Example {
  readonly text: string
  readonly textPair?: string
  /** As it stands in the data: text from files, anything from iterables; absent where there is none. */
  readonly label?: unknown
  readonly place: Place
}

/** What callers may hand in instead of a file. */
export interface ExampleInput {
  readonly text: string
  readonly textPair?: string
  readonly label?: unknown
}

export type DataSource = string | Iterable<ExampleInput> | AsyncIterable<ExampleInput>

/** Names of the columns, where they are not the usual ones. */
export interface Columns {
  readonly text?: string
  readonly textPair?: string
  readonly label?: string
}

/** "train.tsv, line 12", or "row 12". */
export function describePlace({ file, row }: Place): string {
  return file === undefined ? `row ${row}` : `${file}, line ${row}`
}
