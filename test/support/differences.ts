/** Central differences of the f64 reference against the gradients that a VJP's nodes give. */
import type { Node, Value } from '../../lib/ir/graph.js'
import { largest } from './budget.js'
import type { Gradients } from './cases.js'
import { seedOf, uniform } from './random.js'
import { evaluate, exact } from './reference.js'
import type { Scalars, Tensor } from './reference/types.js'

/** Elements tried per operand: all of a small one, a sample of a large one. */
const samples = 16
const step = 1e-5
/** Of the largest gradient of the operand: the truncation error h²·f‴ and rounding ε/h lie well below. */
const tolerance = 2e-6

/** Names the first operand whose gradient is not the slope of the reference; empty when all are. */
export function checkSlopes(
  node: Node,
  gradients: Gradients,
  values: ReadonlyMap<Value, Tensor>,
  scalars: Scalars,
): string {
  const main = Object.values(node.outputs)[0]!
  const dy = values.get(gradients.dy)!
  for (const [operand, gradient] of Object.entries(gradients.values)) {
    const value = node.inputs[operand]!
    const held = values.get(value)!
    const claimed = values.get(gradient)!.data
    const top = largest(claimed)
    const next = uniform(seedOf(operand))
    for (let i = 0; i < Math.min(samples, held.data.length); i++) {
      const element = held.data.length <= samples ? i : Math.floor(next() * held.data.length)
      const at = (shift: number) => {
        const data = Float64Array.from(held.data)
        data[element] = data[element]! + shift
        const shifted = new Map(values).set(value, { shape: held.shape, data })
        evaluate([node], shifted, scalars, exact)
        return weighted(shifted.get(main)!, dy)
      }
      const slope = (at(step) - at(-step)) / (2 * step)
      if (!(Math.abs(slope - claimed[element]!) <= tolerance * (1 + top))) {
        return `gradient of "${operand}", element ${element}: the VJP gives ${claimed[element]}, central differences ${slope}`
      }
    }
  }
  return ''
}

/** Σ y∘dy: the number whose gradient the VJP gives. */
function weighted(y: Tensor, dy: Tensor): number {
  let sum = 0
  for (let i = 0; i < y.data.length; i++) sum += y.data[i]! * dy.data[i]!
  return sum
}
