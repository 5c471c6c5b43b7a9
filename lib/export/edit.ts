/**
 * A model file that is changed in few places: nodes are put in, some are exchanged, outputs are others. All else is copied
 * byte by byte, and large tensors from file to file.
 */

import { OnnxImportError } from '../errors.js'
import { fieldNumber, readRecords, type FileRecord, type ModelRecords } from '../onnx/records.js'
import { inlineFunctions } from '../onnx/inline.js'
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from '../onnx/schema.js'
import type { TensorSource } from '../onnx/stream.js'

/** A node of the file and what becomes of it. */
export interface Entry {
  /** Absent where it is not as the file has it. */
  record?: FileRecord
  node: OnnxNode
  /** New nodes that run before it, and behind it. */
  readonly ahead: OnnxNode[]
  readonly behind: OnnxNode[]
}

export class ModelEdit {
  readonly entries: Entry[]
  /** New nodes that run after all others. */
  readonly tail: OnnxNode[] = []
  readonly inputs: OnnxValueInfo[] = []
  readonly outputs: OnnxValueInfo[] = []
  readonly tensors: TensorSource[] = []
  readonly metadata = new Map<string, string>()
  /** Version of the ai.onnx operators. */
  readonly opset: number
  /** Of values, and of nodes: a name that is new is in neither. */
  readonly #values: Set<string>
  readonly #nodes: Set<string>
  readonly #makers = new Map<string, Entry>()
  readonly #replaced = new Set<string>()
  /** Initializers that nodes of the file read. */
  readonly #usedBefore: ReadonlySet<string>

  constructor(readonly records: ModelRecords) {
    const { model, graph } = records
    const nodeRecords = graph.filter(({ field }) => field === fieldNumber('node'))
    // Calls of local functions are spelt out: what is changed may be inside of them.
    this.entries = model.functions.length
      ? inlineFunctions(model).map((node) => ({ node, ahead: [], behind: [] }))
      : model.graph!.node.map((node, i) => ({ node, record: nodeRecords[i]!, ahead: [], behind: [] }))
    for (const entry of this.entries) for (const output of entry.node.output) this.#makers.set(output, entry)
    this.opset = Number(model.opsetImport.find(({ domain }) => !domain || domain === 'ai.onnx')?.version ?? 0)
    const { values, nodes } = namesOf(model)
    this.#values = values
    this.#nodes = nodes
    this.#usedBefore = new Set(this.entries.flatMap(({ node }) => readsOf(node)))
  }

  /** @throws OnnxImportError ERR_ONNX_MISSING, ERR_ONNX_FORMAT */
  static async open(file: string): Promise<ModelEdit> {
    return new ModelEdit(await readRecords(file))
  }

  get model(): OnnxModel {
    return this.records.model
  }

  get graph(): OnnxGraph {
    return this.model.graph!
  }

  /** The node of the file that makes a value. */
  maker(value: string): Entry | undefined {
    return this.#makers.get(value)
  }

  has(name: string): boolean {
    return this.#values.has(name) || this.#nodes.has(name)
  }

  /** A name that nothing else has: the one that is wanted, or one like it. */
  fresh(wanted: string): string {
    let name = wanted
    for (let i = 1; this.has(name); i++) name = `${wanted}_${i}`
    this.#values.add(name)
    return name
  }

  change(entry: Entry, node: Partial<OnnxNode>): void {
    entry.node = { ...entry.node, ...node }
    delete entry.record
  }

  /** Makes a name free for an output, by calling the file's own value of it something else. */
  free(name: string): void {
    if (!this.#values.has(name)) {
      this.#values.add(name)
      return
    }
    if (!this.#makers.has(name)) {
      const message = `The model has an input or a tensor called "${name}", which is what its output would be called.`
      throw new OnnxImportError('ERR_ONNX_UNSUPPORTED', message, { node: name, expected: 'another name' })
    }
    const other = this.fresh(name)
    const rename = (each: string) => (each === name ? other : each)
    for (const entry of this.entries) {
      const { input, output } = entry.node
      if (input.includes(name) || output.includes(name))
        this.change(entry, { input: input.map(rename), output: output.map(rename) })
    }
    this.#makers.set(other, this.#makers.get(name)!)
    this.#makers.delete(name)
  }

  addTensor(tensor: TensorSource): void {
    this.tensors.push(tensor)
  }

  /** Puts a tensor in the place of one of its name, an initializer or the output of a Constant node. */
  replaceTensor(tensor: TensorSource): void {
    this.#replaced.add(tensor.name)
    const at = this.entries.findIndex(({ node }) => node.output.includes(tensor.name))
    if (at >= 0) this.entries.splice(at, 1)
    this.tensors.push(tensor)
  }

  /** All nodes as they shall run; without those that lead to no output. */
  liveNodes(): { nodes: (Entry | OnnxNode)[]; reads: ReadonlySet<string> } {
    const all = [...this.entries.flatMap((entry) => [...entry.ahead, entry, ...entry.behind]), ...this.tail]
    const wanted = new Set(this.outputs.map(({ name }) => name ?? ''))
    const makers = new Map(all.flatMap((each) => nodeOf(each).output.map((output) => [output, each] as const)))
    const live = new Set<Entry | OnnxNode>()
    // The set grows while it is gone through.
    for (const value of wanted) {
      const maker = makers.get(value)
      if (!maker || live.has(maker)) continue
      live.add(maker)
      for (const name of readsOf(nodeOf(maker))) wanted.add(name)
    }
    return { nodes: all.filter((each) => live.has(each)), reads: wanted }
  }

  /** True for a tensor of the file that another one has taken the place of. */
  isReplaced(name: string): boolean {
    return this.#replaced.has(name)
  }

  /** Initializers that lost their last reader, or are others now. */
  isForsaken(tensor: OnnxTensor, reads: ReadonlySet<string>): boolean {
    const name = tensor.name ?? ''
    return this.#replaced.has(name) || (this.#usedBefore.has(name) && !reads.has(name))
  }
}

export function nodeOf(each: Entry | OnnxNode): OnnxNode {
  return 'ahead' in each ? each.node : each
}

/** Values that a node reads, those of its subgraphs among them. */
function readsOf(node: OnnxNode): string[] {
  const inner = node.attribute.flatMap(({ g }) => (g ? g.node.flatMap(readsOf) : []))
  return [...node.input.filter((name) => name !== ''), ...inner]
}

function namesOf(model: OnnxModel): { values: Set<string>; nodes: Set<string> } {
  const { input, initializer, output, node } = model.graph!
  const values = new Set<string>()
  const names = new Set<string>()
  for (const { name } of [...input, ...initializer, ...output]) values.add(name ?? '')
  const visit = (nodes: readonly OnnxNode[]) => {
    for (const each of nodes) {
      names.add(each.name ?? '')
      for (const value of [...each.input, ...each.output]) values.add(value)
      for (const { g } of each.attribute) if (g) visit(g.node)
    }
  }
  visit(inlineFunctions(model))
  visit(node)
  return { values, nodes: names }
}
