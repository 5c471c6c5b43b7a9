import { PlanError } from '../errors.js'
import type { AttributeValue, Dim, DType, Node, Storage, Value } from '../ir/graph.js'
import type { AttributeSpec, Form } from '../ops/define.js'
import { opByName } from '../ops/index.js'
import { wholeBuffer } from './layout.js'
import { formOf, weightKey, type Plan } from './plan.js'
import { ByteWriter, StringTable } from './words.js'
import type { ArenaPlan } from './arena.js'
import type { Entry } from './schedule.js'

/** Numbers of the program format, the same as in native/ops/call.h and native/runtime/program.cc. */
const magic = 0x5250414f
const version = 2
const storages: Readonly<Record<Storage, number>> = {
  input: 0,
  frozen: 1,
  parameter: 2,
  gradient: 3,
  moment1: 4,
  moment2: 5,
  activation: 6,
  task: 7,
  working: 8,
}
export const dtypeNumbers: Readonly<Record<DType, number>> = { f32: 0, i32: 1, bf16: 2 }
export const formNumbers: Readonly<Record<Form, number>> = { raw: 0, packed: 1, packedTransposed: 2 }
const batchInputs = ['ids', 'types', 'cu', 'labels']
const none = 0xffff_ffff
const maximumRank = 3

/**
 * The program as the addon reads it: little-endian 32-bit words. Header, string table, buffers, entries; native/README.md
 * describes each field.
 * @param seed key of every random stream, as two words
 */
export function encode(plan: Plan, seed: readonly [number, number]): Uint8Array {
  const strings = new StringTable()
  const buffers = new BufferTable(plan, strings)
  const entries = new ByteWriter()
  for (const { entry, arena } of plan.entries) writeEntry(entries, entry, arena, buffers, strings)

  const text = strings.bytes()
  const header = new ByteWriter()
  const headerBytes = 14 * 4
  const total = headerBytes + text.length + buffers.writer.length + entries.length
  header.words(magic, version, total, plan.capacity.tokens, plan.capacity.sequences, seed[0], seed[1], plan.layout.size)
  header.long(plan.arenaBytes)
  header.words(plan.layout.guard, buffers.count, plan.entries.length, text.length)
  return ByteWriter.join(header.bytes(), text, buffers.writer.bytes(), entries.bytes())
}

/** Numbers buffers as they are met: activations once per entry, weights once per form, all else once. */
class BufferTable {
  readonly writer = new ByteWriter()
  count = 0
  readonly #shared = new Map<string, number>()

  constructor(
    private readonly plan: Plan,
    private readonly strings: StringTable,
  ) {}

  indexOf(value: Value, form: Form, arena: ArenaPlan, own: Map<Value, number>): number {
    if (value.storage === 'activation') return remember(own, value, () => this.#write(value, form, arena))
    return remember(this.#shared, `${value.storage} ${value.name} ${form}`, () => this.#write(value, form, arena))
  }

  #write(value: Value, form: Form, arena: ArenaPlan): number {
    const { writer } = this
    if (value.shape.length > maximumRank)
      throw new PlanError('ERR_PLAN', `"${value.name}" has more than ${maximumRank} axes`, { value: value.name })
    writer.words(storages[value.storage], dtypeNumbers[value.dtype], formNumbers[form], value.shape.length)
    for (let i = 0; i < maximumRank; i++) writer.words(...dimWords(value.shape[i] ?? 0))
    writer.long(this.#offset(value, arena))
    if (value.storage === 'frozen' || value.storage === 'task')
      writer.words(...this.strings.add(weightKey(value, form)))
    else writer.words(0, 0)
    return this.count++
  }

  #offset(value: Value, arena: ArenaPlan): number {
    switch (value.storage) {
      case 'activation':
        return known(arena.offsets.get(value), value)
      case 'parameter':
      case 'gradient':
      case 'moment1':
      case 'moment2':
      case 'working':
        return value.name === wholeBuffer ? 0 : known(this.plan.layout.offsets.get(value.name), value)
      case 'input':
        return known(batchInputs.includes(value.name) ? batchInputs.indexOf(value.name) : undefined, value)
      case 'frozen':
      case 'task':
        return 0
      default:
        return value.storage satisfies never
    }
  }
}

function writeEntry(
  writer: ByteWriter,
  entry: Entry,
  arena: ArenaPlan,
  buffers: BufferTable,
  strings: StringTable,
): void {
  const own = new Map<Value, number>()
  const index = (value: Value | undefined, form: Form = 'raw') =>
    value ? buffers.indexOf(value, form, arena, own) : none
  writer.words(
    ...strings.add(entry.name),
    index(entry.loss),
    index(entry.norm),
    index(entry.output),
    entry.updates ? 1 : 0,
  )
  writer.words(entry.nodes.length)
  for (const node of entry.nodes) {
    const op = opByName(node.op)
    const operands = [
      ...Object.keys(op.outputs).map((operand) => index(node.outputs[operand])),
      ...Object.keys(op.inputs).map((operand) => {
        const value = node.inputs[operand]
        return value ? index(value, formOf(node.op, operand, value)) : none
      }),
    ]
    const attributes = Object.entries(op.attributes).map(([name, spec]) => attributeWord(node, name, spec))
    writer.words(op.code, ...strings.add(node.name), operands.length, ...operands, attributes.length, ...attributes)
  }
}

/** Absent attributes are 0, or the first of their names. */
function attributeWord(node: Node, name: string, spec: AttributeSpec): number {
  const value = node.attributes[name]
  if (value === undefined) return 0
  if (typeof spec !== 'string') {
    const number = spec.indexOf(String(value))
    return number >= 0 ? number : badAttribute(node, name, value)
  }
  if (typeof value !== 'number' || Number.isNaN(value)) return badAttribute(node, name, value)
  return spec === 'f32' ? floatBits(value) : value >>> 0
}

function badAttribute(node: Node, name: string, value: AttributeValue): never {
  throw new PlanError('ERR_PLAN', `${node.op} "${node.name}": attribute "${name}" cannot be ${value}`, {
    node: node.name,
    attribute: name,
  })
}

function floatBits(value: number): number {
  return new Uint32Array(new Float32Array([value]).buffer)[0]!
}

/** Kind and value of an axis. */
function dimWords(dim: Dim): [number, number] {
  switch (dim) {
    case 'T':
      return [1, 0]
    case 'B':
      return [2, 0]
    case 'B+1':
      return [3, 0]
    default:
      return [0, dim]
  }
}

function known(offset: number | undefined, value: Value): number {
  if (offset !== undefined) return offset
  throw new PlanError('ERR_PLAN', `"${value.name}" (${value.storage}) has no place in memory`, { value: value.name })
}

function remember<Key>(map: Map<Key, number>, key: Key, make: () => number): number {
  const before = map.get(key)
  if (before !== undefined) return before
  const made = make()
  map.set(key, made)
  return made
}
