/**
 * How many tokens of one text, or of two, fit: the longer one is cut first, and when both must be cut the one that was
 * longer keeps the odd token (the second where they were equal), as Python's `tokenizers` does.
 * @param b 0 for a single text
 * @param room tokens left beside the special ones
 */
export function longestFirst(a: number, b: number, room: number): readonly [a: number, b: number] {
  if (a + b <= room) return [a, b]
  const shorter = Math.min(a, b)
  // Either the shorter text fits whole and the longer gets the rest, or both get half.
  const whole = 2 * shorter <= room
  const low = whole ? shorter : Math.floor(room / 2)
  const high = room - low
  return a > b ? [high, low] : [low, high]
}
