/** Numbers from 0 to 32767 that are the same in any language: a linear congruential generator, seed 1. */
export function draws(): () => number {
  let state = 1
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fff_ffff
    return state >>> 16
  }
}
