import { AlignedText, Change } from './aligned.js'
import {
  decompose,
  isMark,
  lower,
  printableAscii,
  spaceOut,
  stripsAccents,
  type BertNormalizerOptions,
} from './bert.js'

/**
 * What BertNormalizer makes of a text, with the origin of every character as Python's `tokenizers` has it: what replaces
 * a character or is put around it stands for that character, and what is dropped belongs to no other.
 */
export function normalizeAligned(text: string, options: BertNormalizerOptions): AlignedText {
  const { clean_text, handle_chinese_chars, lowercase } = options
  // Lower case of ASCII moves nothing.
  if (printableAscii.test(text)) return new AlignedText(lowercase ? lower(text) : text)
  let aligned = new AlignedText(text)
  if (clean_text || handle_chinese_chars) aligned = aligned.replace((character) => spaceOut(character, options))
  if (stripsAccents(options)) aligned = stripAccents(aligned)
  return lowercase ? aligned.replace(lower) : aligned
}

/**
 * Canonical decomposition without nonspacing marks. Decomposition also sorts marks, which the library counts so: the
 * first part of each character moves on to the next origin, whichever that is; other parts share that of the part
 * before them.
 */
function stripAccents(source: AlignedText): AlignedText {
  const parts: { readonly character: string; readonly first: boolean }[] = []
  const origins: (readonly [number, number])[] = []
  source.forEach((whole, start, end) => {
    origins.push([start, end])
    let first = true
    for (const character of decompose(whole)) {
      parts.push({ character, first })
      first = false
    }
  })
  const change = new Change()
  const waiting = new Map<string, boolean[]>()
  let next = 0
  let origin = -1
  // The sorted parts are the same characters in another order, in which equal ones keep theirs.
  for (const character of decompose(source.text)) {
    while (!waiting.get(character)?.length) {
      const part = parts[next++]!
      const same = waiting.get(part.character)
      if (same) same.push(part.first)
      else waiting.set(part.character, [part.first])
    }
    if (waiting.get(character)!.shift()) origin++
    if (!isMark(character)) change.add(character, ...origins[origin]!)
  }
  return change.result()
}
