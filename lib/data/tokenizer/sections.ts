import type { AddedToken, LibraryTokenizer } from './library.js'

/** A part of a text: an added token, or what lies between them. */
export interface Section {
  readonly start: number
  readonly end: number
  readonly added?: AddedToken
}

/**
 * Cuts a text at the added tokens in it, which take in the white space beside them where they say so. Cut with the
 * library's own splitters, so that the tokens are those of its `encode`.
 */
export function splitAdded(
  text: string,
  splitter: LibraryTokenizer['splitter_normalized'],
  tokens: LibraryTokenizer['added_tokens_map'],
): Section[] {
  let end = 0
  const sections = splitter.split(text).map((content) => {
    const start = end
    end += content.length
    return { start, end, added: tokens.get(content) }
  })
  for (const [i, { added }] of sections.entries()) {
    const before = sections[i - 1]
    const after = sections[i + 1]
    if (added?.lstrip && before && !before.added) {
      const kept = text.slice(before.start, before.end).trimEnd().length
      before.end = sections[i]!.start = before.start + kept
    }
    if (added?.rstrip && after && !after.added) {
      const kept = text.slice(after.start, after.end).trimStart().length
      after.start = sections[i]!.end = after.end - kept
    }
  }
  return sections.filter(({ start, end }) => start < end)
}
