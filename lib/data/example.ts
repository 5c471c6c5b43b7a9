/** Where an example comes from, for messages: file and 1-based line, or the row of a list. */
export interface Place {
  readonly file?: string
  /** 1-based line of the file, the first of a row that has several; or 1-based position in an iterable or in SQuAD. */
  readonly row: number
  /** In a file that does not have a row a line: what stands there instead of the line, "paragraph 2, question 5". */
  readonly part?: string
}

/** One row of data before its label is understood. */
export interface Example {
  readonly text: string
  readonly textPair?: string
  /** The words of a text that comes in words; `text` has them with spaces between. */
  readonly words?: readonly string[]
  /** As it stands in the data: text from TSV and CSV, anything from JSON and iterables; absent where there is none. */
  readonly label?: unknown
  readonly place: Place
}

/** A text, or two, with a class, a number or a list of labels. */
export interface TextInput {
  readonly text: string
  readonly textPair?: string
  /** Classification: a name. Regression: a number. Multi-label: a list of names, maybe empty. */
  readonly label?: unknown
}

/** A text in words, each with its tag. */
export interface WordsInput {
  readonly tokens: readonly string[]
  readonly tags?: readonly string[]
}

/** A question about a text that holds the answer. */
export interface QuestionInput {
  readonly question: string
  readonly context: string
  /** One or more right answers; none where the text does not answer the question. */
  readonly answers?: readonly AnswerInput[]
}

/** An answer, and where it stands in the context. */
export interface AnswerInput {
  readonly text: string
  /** Its first UTF-16 code unit, as JavaScript's strings count. */
  readonly start?: number
  /** Its first character, as SQuAD's files and Python count; one of both must be there. */
  readonly answer_start?: number
}

/** What callers may hand in instead of a file; the names of the fields are the usual ones, or those of `columns`. */
export type ExampleInput = TextInput | WordsInput | QuestionInput | Readonly<Record<string, unknown>>

/**
 * Rows to learn from or to judge by. A file is read by the end of its name: TSV and CSV with a header, JSON Lines
 * (.jsonl, .ndjson), CoNLL (.conll), SQuAD (.json); each may be gzip-compressed, with .gz added to the name.
 */
export type DataSource = string | Iterable<ExampleInput> | AsyncIterable<ExampleInput>

/** Names of the columns or keys, where they are not the usual ones. */
export interface Columns {
  /** The text; of a token task, the words. */
  readonly text?: string
  /** The second text of a pair. */
  readonly textPair?: string
  /** The label, the value, the labels or the tags. */
  readonly label?: string
}

/** "train.tsv, line 12", "train.json, article 1, paragraph 2, question 3 (id 56)", or "row 12". */
export function describePlace({ file, row, part }: Place): string {
  if (part !== undefined) return file === undefined ? part : `${file}, ${part}`
  return file === undefined ? `row ${row}` : `${file}, line ${row}`
}
