/** What storing in bf16 costs by itself: f64 arithmetic that rounds only where a value is kept. */
import type { Value } from '../../lib/ir/graph.js'
import type { Entry } from '../../lib/plan/schedule.js'
import type { BuiltCase } from './cases.js'
import { evaluate, exact } from './reference.js'
import type { Scalars, Tensor } from './reference/types.js'

export function storesNarrow({ nodes }: Entry): boolean {
  return nodes.some(({ inputs, outputs }) =>
    [...Object.values(inputs), ...Object.values(outputs)].some(({ dtype }) => dtype === 'bf16'),
  )
}

/** Values of every operand and result of an entry that `narrowEntries` gave. */
export function runStored(built: BuiltCase, entry: Entry, scalars: Scalars): Map<Value, Tensor> {
  const values = new Map<Value, Tensor>()
  const batch: Record<string, Int32Array | undefined> = { ids: built.ids, types: built.types, cu: built.cu }
  const contents = new Map([...built.contents].map(([value, data]) => [value.name, data]))
  for (const node of entry.nodes) {
    for (const value of Object.values(node.inputs)) {
      const data = value.storage === 'input' ? (batch[value.name] ?? built.labels?.data) : contents.get(value.name)
      if (values.has(value) || value.storage === 'activation' || !data) continue
      values.set(value, stored(value, { shape: value.shape.map((dim) => bind(dim, built)), data: widened(data) }))
    }
    if (Object.values(node.outputs).some(({ storage }) => storage === 'working')) continue
    evaluate([node], values, scalars, exact)
    for (const value of Object.values(node.outputs)) values.set(value, stored(value, values.get(value)!))
  }
  return values
}

function widened(data: Float32Array | Int32Array): Float64Array | Int32Array {
  return data instanceof Int32Array ? data : Float64Array.from(data)
}

function bind(dim: Value['shape'][number], { ids, cu }: BuiltCase): number {
  return typeof dim === 'number' ? dim : { T: ids.length, B: cu.length - 1, 'B+1': cu.length }[dim]
}

function stored({ dtype }: Value, { shape, data }: Tensor): Tensor {
  return dtype === 'bf16' ? { shape, data: Float64Array.from(data, toBf16) } : { shape, data }
}

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** To the nearest bf16, ties to even. */
export function toBf16(value: number): number {
  float[0] = value
  if (Number.isNaN(value)) return value
  bits[0] = bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)
  bits[0] = bits[0]! & 0xffff_0000
  return float[0]
}
