import type { Node } from '../../lib/ir/graph.js'
import { bind } from '../../lib/plan/arena.js'
import type { ProductShape } from '../../lib/runtime/native-types.js'

/** Products of one shape in a step. */
export interface CountedProduct extends ProductShape {
  readonly count: number
}

/**
 * The matrix products of a step's linear layers, both directions, as the library computes them. The adapters' own are
 * left out: thin ones would lower what the step is held against.
 */
export function productsOf(nodes: readonly Node[], tokens: number, sequences: number): CountedProduct[] {
  const found = new Map<string, CountedProduct>()
  for (const node of nodes) {
    const product = productOf(node, tokens, sequences)
    if (!product) continue
    const key = JSON.stringify(product)
    found.set(key, { ...product, count: (found.get(key)?.count ?? 0) + 1 })
  }
  return [...found.values()]
}

function productOf({ op, inputs }: Node, tokens: number, sequences: number): ProductShape | undefined {
  const sizes = (name: string) => inputs[name]?.shape.map((dim) => bind(dim, { tokens, sequences }))
  switch (op) {
    case 'linear': {
      const [[rows = 0, depth = 0] = [], [columns = 0] = []] = [sizes('x'), sizes('w')]
      return { rows, columns, depth, transposeA: false, transposeB: true }
    }
    case 'linear_dx': {
      const [[rows = 0, depth = 0] = [], [, columns = 0] = []] = [sizes('dy'), sizes('w')]
      return { rows, columns, depth, transposeA: false, transposeB: false }
    }
    case 'linear_dw': {
      const [[depth = 0, rows = 0] = [], x] = [sizes('dy'), sizes('x')]
      return x ? { rows, columns: x[1]!, depth, transposeA: true, transposeB: false } : undefined
    }
    default:
      return undefined
  }
}

export function productFlops({ rows, columns, depth }: ProductShape): number {
  return 2 * rows * columns * depth
}

/**
 * The rate at which all of them together would run, each at its own.
 * @param rates floating-point operations a second, of each product
 */
export function jointRate(products: readonly CountedProduct[], rates: readonly number[]): number {
  let [flops, seconds] = [0, 0]
  products.forEach((product, i) => {
    flops += product.count * productFlops(product)
    seconds += (product.count * productFlops(product)) / rates[i]!
  })
  return flops / seconds
}
