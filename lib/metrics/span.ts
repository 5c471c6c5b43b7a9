/**
 * SQuAD's exact match and F1 (Rajpurkar et al. 2016 §6.1, 2018 for questions without an answer), with the normalisation
 * of the official evaluation script. Shares from 0 to 1, where that script prints percentages.
 */

/** Letters, digits and `_`: what Python's regular expressions take for part of a word. */
const wordPart = '[\\p{L}\\p{N}_]'
const articles = new RegExp(`(?<!${wordPart})(?:a|an|the)(?!${wordPart})`, 'gu')
const asciiPunctuation = /[!-/:-@[-`{-~]/g
/** What Python's `split` cuts at; JavaScript's `\s` is not quite the same. */
const whiteSpace = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/

/**
 * The words of an answer that count: lower case, without ASCII punctuation (which joins what it stood between) and
 * English articles.
 */
export function answerWords(answer: string): string[] {
  const plain = answer.toLowerCase().replace(asciiPunctuation, '').replace(articles, ' ')
  return plain.split(whiteSpace).filter((word) => word !== '')
}

/** True where the words are the same in the same order. */
export function exactMatch(predicted: string, reference: string): boolean {
  return answerWords(predicted).join(' ') === answerWords(reference).join(' ')
}

/**
 * Harmonic mean of precision and recall over words, each counting as often as it occurs. Where an answer has no words
 * that count, 1 if the other has none either, else 0 (the rule of SQuAD 2.0; that of 1.1 gives 0 to two empty ones).
 */
export function answerF1(predicted: string, reference: string): number {
  const words = answerWords(predicted)
  const wanted = answerWords(reference)
  if (words.length === 0 || wanted.length === 0) return words.length === wanted.length ? 1 : 0
  const left = new Map<string, number>()
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1)
  let same = 0
  for (const word of words) {
    const count = left.get(word) ?? 0
    if (count > 0) same++
    left.set(word, count - 1)
  }
  return (2 * same) / (words.length + wanted.length)
}

export interface SpanScores {
  readonly exactMatch: number
  readonly f1: number
}

/**
 * Means over the questions of the best score over each question's reference answers.
 * @param references of each question; none means that no answer is right, and the prediction should be empty
 */
export function scoreAnswers(predicted: readonly string[], references: readonly (readonly string[])[]): SpanScores {
  let exact = 0
  let f1 = 0
  for (const [i, answer] of predicted.entries()) {
    const right = references[i]!.length === 0 ? [''] : references[i]!
    exact += Math.max(...right.map((reference) => Number(exactMatch(answer, reference))))
    f1 += Math.max(...right.map((reference) => answerF1(answer, reference)))
  }
  return { exactMatch: exact / predicted.length, f1: f1 / predicted.length }
}
