import type { Expansion } from './expand.js'
import { ints } from './attributes.js'

/** Letters of a product: of which operands' axes the result is made. */
interface Roles {
  /** In both operands and in the result. */
  readonly batch: readonly string[]
  /** In the first operand and the result. */
  readonly rows: readonly string[]
  /** In both operands, summed over. */
  readonly summed: readonly string[]
  /** In the second operand and the result. */
  readonly columns: readonly string[]
}

/** Einsum of two operands as a MatMul between Transposes, where it is such a product; else false. */
export function expandEinsum(e: Expansion): boolean {
  const equation = Buffer.from(e.attribute('equation')?.s ?? []).toString()
  const [left = '', right] = equation.replaceAll(' ', '').split('->')
  const [a, b, more] = left.split(',').map((letters) => [...letters])
  if (!a || !b || more || right === undefined || e.node.input.length !== 2 || equation.includes('.')) return false
  const result = [...right]
  return (
    multiply(e, { letters: a, name: e.input(0) }, { letters: b, name: e.input(1) }, result) ||
    multiply(e, { letters: b, name: e.input(1) }, { letters: a, name: e.input(0) }, result)
  )
}

interface Operand {
  readonly letters: readonly string[]
  readonly name: string
}

function multiply(e: Expansion, a: Operand, b: Operand, result: readonly string[]): boolean {
  const roles = rolesOf(a.letters, b.letters, result)
  if (!roles) return false
  const { batch, rows, summed, columns } = roles
  const first = turn(e, a, [...batch, ...rows, ...summed])
  const second = turn(e, b, [...batch, ...summed, ...columns])
  const made = [...batch, ...rows, ...columns]
  const perm = result.map((letter) => made.indexOf(letter))
  const last = e.node.output[0]
  if (perm.every((axis, i) => axis === i)) e.add('MatMul', [first, second], {}, last)
  else e.add('Transpose', [e.add('MatMul', [first, second])], { perm: ints(...perm) }, last)
  return true
}

function turn(e: Expansion, { letters, name }: Operand, wanted: readonly string[]): string {
  const perm = wanted.map((letter) => letters.indexOf(letter))
  return perm.every((axis, i) => axis === i) ? name : e.add('Transpose', [name], { perm: ints(...perm) })
}

/** Undefined where this is no MatMul: letters twice in an operand, sums over one operand, several axes summed. */
function rolesOf(a: readonly string[], b: readonly string[], result: readonly string[]): Roles | undefined {
  const repeated = [a, b, result].some((letters) => new Set(letters).size !== letters.length)
  const lost = [...a, ...b].some((letter) => !result.includes(letter) && !(a.includes(letter) && b.includes(letter)))
  if (repeated || lost || result.some((letter) => !a.includes(letter) && !b.includes(letter))) return undefined
  const batch = result.filter((letter) => a.includes(letter) && b.includes(letter))
  const rows = result.filter((letter) => a.includes(letter) && !b.includes(letter))
  const columns = result.filter((letter) => b.includes(letter) && !a.includes(letter))
  const summed = a.filter((letter) => !result.includes(letter))
  // Without axes in common the rows may be any number of axes, as those of a linear layer are.
  const fits = summed.length === 1 && columns.length === 1 && rows.length > 0 && (!batch.length || rows.length === 1)
  return fits ? { batch, rows, summed, columns } : undefined
}
