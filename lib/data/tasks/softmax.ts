/** Index of the largest value; the first of equals. */
export function largest(values: Float32Array): number {
  let best = 0
  for (let k = 1; k < values.length; k++) if (values[k]! > values[best]!) best = k
  return best
}

/** Logarithm of the softmax probability of class k, in double precision. */
export function logSoftmax(logits: Float32Array, k: number): number {
  let most = -Infinity
  for (const x of logits) most = Math.max(most, x)
  let sum = 0
  for (const x of logits) sum += Math.exp(x - most)
  return logits[k]! - most - Math.log(sum)
}
