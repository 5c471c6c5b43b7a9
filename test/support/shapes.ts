/** Sizes at every edge of the kernels' blocks: 1, one below, at and above a vector or tile, primes, odd widths. */

export interface RowShape {
  readonly name: string
  readonly lengths: readonly number[]
  readonly width: number
}

function shape(lengths: readonly number[], width: number): RowShape {
  return { name: `lengths ${lengths.join('+') || 'none'}, width ${width}`, lengths, width }
}

/** For ops whose elements do not mix. */
export const pointwiseShapes: readonly RowShape[] = [
  shape([1], 1),
  shape([3], 7),
  shape([4, 0, 1], 8),
  shape([5], 17),
  shape([2, 11], 60),
  shape([64, 1, 0, 2], 33),
]

/** For ops that reduce a row. */
export const rowShapes: readonly RowShape[] = [
  shape([1], 1),
  shape([2], 3),
  shape([1], 15),
  shape([5], 16),
  shape([0, 3, 4], 17),
  shape([2, 11], 60),
  shape([31], 32),
  shape([9], 61),
  shape([65, 0, 1], 64),
  shape([3], 384),
]

/**
 * Rows that a GPU deals with otherwise than short ones: at the edges of what a lane of a warp holds, given to a whole
 * block, and so many that a block sums several for each of its warps.
 */
export const wideRowShapes: readonly RowShape[] = [
  shape([2], 388),
  shape([3], 770),
  shape([9], 1024),
  shape([2], 1025),
  shape([0, 10], 1028),
  shape([2, 3], 3100),
  shape([2060], 4),
]

/** Batches of sequences: one alone, equal ones, an empty one first, in the middle and last, a long one among short. */
export const batches: readonly (readonly number[])[] = [
  [1],
  [7],
  [4, 4],
  [0, 3],
  [2, 0, 5],
  [3, 0],
  [1, 67, 2, 1],
  [13, 1, 8, 16, 17],
]

export function batchName(lengths: readonly number[]): string {
  return `lengths ${lengths.join('+')}`
}

/** Node attributes of a dropout stream, and none. */
export const noDropout = { dropout: 0, rng: 0 } as const
export const dropoutStreams = [
  { dropout: 0.1, rng: 3 },
  { dropout: 0.5, rng: 4_000_000_007 },
] as const
