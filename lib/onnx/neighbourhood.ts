import type { MaybeDim } from './dim.js'
import { numbersOf, shapeOf } from './known.js'
import type { Operator, Quantity } from './network.js'

/** How many steps up and down are shown, and how many nodes at most each way. */
const reach = { up: 3, down: 2, nodes: 12 }
/** Constants of more elements than this are shown by name and shape. */
const maxElements = 8

/**
 * The graph around a value as text, a line a node in an order in which they run: result with its shape, operator,
 * operands with shapes or content, attributes. The node that makes the value is marked by `>`.
 */
export function describeNeighbourhood(value: Quantity): string[] {
  const centre = value.producer
  const above = centre ? ancestors(centre) : []
  const below = descendants(value)
  return [
    ...above.map((operator) => `  ${describeOperator(operator)}`),
    `> ${centre ? describeOperator(centre) : describeValue(value)}`,
    ...below.map((operator) => `  ${describeOperator(operator)}`),
  ]
}

/** `y [B, S, 64] = MatMul(x [B, S, 64], w f[64, 64])`. */
export function describeOperator(operator: Operator): string {
  const outputs = operator.outputs.map((output) => (output ? describeValue(output) : '-'))
  const inputs = operator.inputs.map((input) => (input ? describeValue(input) : '-'))
  const attributes = [...operator.attributes.values()].flatMap(({ name, f, i, s, ints, floats }) => {
    const list = ints.length ? ints : floats
    const content = list.length ? `[${Array.from(list).slice(0, maxElements).join(', ')}]` : (f ?? i)
    const text = s ? Buffer.from(s).toString('utf8').slice(0, 40) : content
    return text === undefined ? [] : [`${name}=${text}`]
  })
  return `${outputs.join(', ')} = ${operator.type}(${[...inputs, ...attributes].join(', ')})`
}

function describeValue(value: Quantity): string {
  const shape = shapeOf(value)
  const numbers = value.constant || shape?.length === 0 ? smallContent(value) : undefined
  if (numbers) return shape?.length ? `[${numbers.join(', ')}]` : String(numbers[0])
  const size = shape ? ` [${shape.map(describeDim).join(', ')}]` : ' [?]'
  return `${value.constant ? 'constant ' : ''}"${value.name}"${size}`
}

function smallContent(value: Quantity): number[] | undefined {
  const count = shapeOf(value)?.reduce<number>((product, dim) => (typeof dim === 'number' ? product * dim : NaN), 1)
  return count !== undefined && count <= maxElements
    ? numbersOf(value)?.map((x) => Number(x.toPrecision(6)))
    : undefined
}

function describeDim(dim: MaybeDim): string {
  if (dim === undefined) return '?'
  if (typeof dim === 'number') return String(dim)
  return [...(dim.factor === 1 ? [] : [String(dim.factor)]), ...dim.names].join('·')
}

/** Nodes before a node, its own inputs' last. */
function ancestors(centre: Operator): Operator[] {
  const nearest: Operator[] = []
  let level = [centre]
  for (let step = 0; step < reach.up; step++) {
    level = level.flatMap(({ inputs }) => inputs.flatMap((input) => input?.producer ?? []))
    for (const operator of level)
      if (operator !== centre && !nearest.includes(operator) && nearest.length < reach.nodes) nearest.push(operator)
  }
  return inOrder(nearest)
}

function descendants(value: Quantity): Operator[] {
  const found: Operator[] = []
  let level: readonly Operator[] = value.consumers
  for (let step = 0; step < reach.down; step++) {
    for (const operator of level) if (!found.includes(operator) && found.length < reach.nodes) found.push(operator)
    level = level.flatMap(({ outputs }) => outputs.flatMap((output) => output?.consumers ?? []))
  }
  return inOrder(found)
}

/** Each behind those whose results it reads. */
function inOrder(operators: readonly Operator[]): Operator[] {
  const sorted = new Set<Operator>()
  const place = (operator: Operator): void => {
    if (sorted.has(operator)) return
    for (const input of operator.inputs) {
      const maker = input?.producer
      if (maker && maker !== operator && operators.includes(maker)) place(maker)
    }
    sorted.add(operator)
  }
  for (const operator of operators) place(operator)
  return [...sorted]
}
