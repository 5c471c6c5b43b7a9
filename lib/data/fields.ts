/** What a kind of task reads of a row, by the names that data sets use, in order of preference; the first are ours. */
export interface Fields {
  readonly text: readonly string[]
  /** Absent where the task has no second text. */
  readonly textPair?: readonly string[]
  readonly label: readonly string[]
  /** True where every row must have the second text. @default false */
  readonly needsPair?: boolean
  /** True where the text is a list of words. @default false */
  readonly words?: boolean
}

/** Of tasks about a text, or a pair of texts. */
export const textFields: Fields = {
  text: ['text_a', 'text', 'sentence', 'sentence1', 'premise', 'question', 'question1'],
  textPair: ['text_b', 'text_pair', 'textPair', 'sentence2', 'hypothesis', 'question2'],
  label: ['label', 'labels', 'class', 'target', 'score'],
}

/** Of tasks about words. */
export const wordFields: Fields = {
  text: ['tokens', 'words'],
  label: ['tags', 'ner_tags', 'labels'],
  words: true,
}

/** Of questions about a context. */
export const questionFields: Fields = {
  text: ['question', 'text', 'text_a'],
  textPair: ['context', 'textPair', 'text_pair', 'text_b'],
  label: ['answers', 'label'],
  needsPair: true,
}
