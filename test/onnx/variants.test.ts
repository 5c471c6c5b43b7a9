/** The same model in other words must import the same; another model in almost the same words must not. */
import test, { type ExecutionContext } from 'ava'
import { OnnxImportError } from '../../lib/errors.js'
import { importEncoder } from '../../lib/onnx/import.js'
import { readModel } from '../../lib/onnx/read.js'
import { DataType, type OnnxModel } from '../../lib/onnx/schema.js'
import { plainTensor, tensorNumbers } from '../../lib/onnx/tensor.js'
import { partNumbers, runEncoder } from '../support/encoder_reference.js'
import { essence } from '../support/essence.js'
import { fixtures } from '../support/onnx_fixtures.js'
import { type ModelBuilder, floats, integers, onnxNode, tinyBert } from '../support/onnx_models.js'
import { uniform } from '../support/random.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

function copyOf(model: OnnxModel): OnnxModel {
  return structuredClone(model)
}

/** New names for every node, value and tensor; nodes, tensors and inputs in reverse order, or in that of the seed. */
function disguise(model: OnnxModel, seed = 0): OnnxModel {
  const copy = copyOf(model)
  const graph = copy.graph!
  const reorder = seed === 0 ? <T>(list: T[]) => list.reverse() : shuffler(seed)
  const names = new Map<string, string>()
  const rename = (name: string | undefined) => {
    if (!name) return ''
    if (!names.has(name)) names.set(name, `x${names.size}`)
    return names.get(name)!
  }
  for (const info of [...graph.input, ...graph.output]) info.name = rename(info.name)
  for (const tensor of graph.initializer) tensor.name = rename(tensor.name)
  graph.node.forEach((node, i) => {
    node.name = `n${i}`
    node.input = node.input.map(rename)
    node.output = node.output.map(rename)
  })
  graph.valueInfo = []
  for (const list of [graph.node, graph.initializer, graph.input]) reorder<unknown>(list)
  return copy
}

/** Shuffles lists in place (Fisher & Yates 1938). */
function shuffler(seed: number): <T>(list: T[]) => T[] {
  const next = uniform(seed)
  return (list) => {
    for (let i = list.length - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1))
      ;[list[i], list[j]] = [list[j]!, list[i]!]
    }
    return list
  }
}

function commute(model: OnnxModel): OnnxModel {
  const copy = copyOf(model)
  for (const node of copy.graph!.node) if (['Add', 'Mul'].includes(node.opType!)) node.input.reverse()
  return copy
}

/** An Identity behind every value. */
function insertIdentities(model: OnnxModel): OnnxModel {
  const copy = copyOf(model)
  const outputs = new Set(copy.graph!.output.map(({ name }) => name))
  const extra: OnnxModel['graph'] extends infer G ? (NonNullable<G> extends { node: infer N } ? N : never) : never = []
  const renamed = new Map<string, string>()
  for (const node of copy.graph!.node) {
    for (const output of node.output) {
      if (!output || outputs.has(output)) continue
      renamed.set(output, `${output}/copy`)
      extra.push(onnxNode('Identity', [output], [`${output}/copy`]))
    }
  }
  for (const node of copy.graph!.node) node.input = node.input.map((name) => renamed.get(name) ?? name)
  copy.graph!.node.push(...extra)
  return copy
}

function initializersToConstants(model: OnnxModel): OnnxModel {
  const copy = copyOf(model)
  copy.graph!.node.push(
    ...copy.graph!.initializer.map((tensor) => onnxNode('Constant', [], [tensor.name!], { value: tensor })),
  )
  copy.graph!.initializer = []
  return copy
}

function constantsToInitializers(model: OnnxModel): OnnxModel {
  const copy = copyOf(model)
  const graph = copy.graph!
  for (const node of graph.node) {
    const tensor = node.opType === 'Constant' ? node.attribute.find(({ name }) => name === 'value')?.t : undefined
    if (tensor) graph.initializer.push({ ...tensor, name: node.output[0]! })
  }
  graph.node = graph.node.filter(
    (node) => node.opType !== 'Constant' || !node.attribute.some(({ name }) => name === 'value'),
  )
  return copy
}

/** Files of IR version 3: every initializer is an input too. */
function initializersAsInputs(model: OnnxModel): OnnxModel {
  const copy = copyOf(model)
  copy.graph!.input.unshift(...copy.graph!.initializer.map(({ name }) => ({ name: name! })))
  return copy
}

/** Every float weight in float_data instead of raw bytes. */
function floatsAsFields(model: OnnxModel): OnnxModel {
  const copy = copyOf(model)
  copy.graph!.initializer = copy.graph!.initializer.map((tensor) =>
    tensor.dataType === DataType.float
      ? { ...plainTensor(DataType.float, tensor.dims, { floatData: tensorNumbers(tensor) }), name: tensor.name! }
      : tensor,
  )
  return copy
}

/** Every Add of the graph behind a local function. */
function addsAsFunctions(model: OnnxModel): OnnxModel {
  const copy = copyOf(model)
  const body = onnxNode('Add', ['a', 'b'], ['c'])
  const inner = {
    name: 'Plus',
    domain: 'local',
    input: ['a', 'b'],
    output: ['c'],
    attribute: [],
    node: [body],
    opsetImport: [],
    attributeProto: [],
  }
  const outer = { ...inner, name: 'Sum', node: [onnxNode('Plus', ['b', 'a'], ['c'], {}, 'local')] }
  copy.functions = [inner, outer]
  for (const node of copy.graph!.node)
    if (node.opType === 'Add') Object.assign(node, { opType: 'Sum', domain: 'local' })
  return copy
}

const disguises: Readonly<Record<string, (model: OnnxModel) => OnnxModel>> = {
  'new names, the reverse order': (model) => disguise(model),
  ...Object.fromEntries(
    [1, 2, 3, 4].map((seed) => [`new names, random order ${seed}`, (model: OnnxModel) => disguise(model, seed)]),
  ),
  commute,
  insertIdentities,
  initializersToConstants,
  constantsToInitializers,
  initializersAsInputs,
  floatsAsFields,
  addsAsFunctions,
}

for (const [name, change] of Object.entries(disguises)) {
  test(`a small model imports the same after ${name}`, (t) => {
    const model = tinyBert()
    t.deepEqual(essence(importEncoder(change(model))), essence(importEncoder(model)))
  })
}

const disguised = fixtures().filter(
  ({ name }) =>
    /bert-(legacy(11|14|17|20)|hubera1|dynamo|optimum$|onnxslim|mlm|seqcls|gelu.*legacy)/.test(name) &&
    !/relkey|decoder/.test(name),
)
if (!disguised.length)
  testUnless(lacksShared(sharedPath('fixtures')), 'fixtures in disguise', (t) => t.fail('no fixtures'))

for (const { name, model } of disguised) {
  test(`${name} imports the same under every disguise`, async (t) => {
    const original = await readModel(model)
    const truth = essence(importEncoder(original))
    for (const [what, change] of Object.entries(disguises))
      t.deepEqual(essence(importEncoder(change(original))), truth, what)
  })
}

test('the encoder computes what the graph says', (t) => {
  const imported = importEncoder(tinyBert({ layers: 1, hidden: 4, heads: 1 }))
  const hidden = runEncoder(imported.graph, { ids: [3, 1, 4], types: [0, 1, 0], cu: [0, 2, 3] })
  t.is(hidden.length, 12)
  t.true(hidden.every(Number.isFinite))
})

function refused(t: ExecutionContext, model: OnnxModel, code = 'ERR_ONNX_UNSUPPORTED', expected?: RegExp): void {
  const error = t.throws(() => importEncoder(model), { instanceOf: OnnxImportError })
  t.is(error?.code, code, error?.message)
  t.truthy(error?.details.expected)
  if (expected) t.regex(String(error?.details.expected), expected)
}

const sequenceLength = (b: ModelBuilder) =>
  b.add('Gather', [b.add('Shape', ['input_ids']), b.tensor(integers([], [1]))], { axis: 0 })

test('a causal mask is refused, computed or stored', (t) => {
  const computed = (b: ModelBuilder, padding: string) => {
    const range = b.add('Range', [b.tensor(integers([], [0])), sequenceLength(b), b.tensor(integers([], [1]))])
    const seen = b.add('LessOrEqual', [b.add('Unsqueeze', [range, b.list(0)]), b.add('Unsqueeze', [range, b.list(1)])])
    return b.add('Add', [padding, b.add('Where', [seen, b.scalar(0), b.scalar(-1e9)])])
  }
  refused(t, tinyBert({ bias: computed }), 'ERR_ONNX_CAUSAL')
  const triangle = Array.from({ length: 64 }, (_, i) => (i % 8 > Math.floor(i / 8) ? -1e9 : 0))
  refused(
    t,
    tinyBert({ bias: (b, padding) => b.add('Add', [padding, b.tensor(floats([1, 1, 8, 8], triangle))]) }),
    'ERR_ONNX_CAUSAL',
  )
})

test('a mask that is too weak, turned round, or over queries is refused', (t) => {
  refused(t, tinyBert({ bias: (b, padding) => b.add('Mul', [padding, b.scalar(1e-38)]) }), undefined, /padding mask/)
  refused(t, tinyBert({ bias: (b, padding) => b.add('Neg', [padding]) }), undefined, /padding mask/)
  refused(
    t,
    tinyBert({ bias: (b, padding) => b.add('Transpose', [padding], { perm: [0, 1, 3, 2] }) }),
    undefined,
    /padding mask/,
  )
})

test('a learned bias on the scores is refused', (t) => {
  refused(t, tinyBert({ bias: (b, padding) => b.add('Add', [padding, b.random(1, 2, 1, 1)]) }))
})

test('softmax over another axis is refused', (t) => {
  refused(t, tinyBert({ softmax: (b, scores) => b.add('Softmax', [scores], { axis: 2 }) }), undefined, /last axis/)
})

test('a guard against rows of NaN is seen through', (t) => {
  const softmax = (b: ModelBuilder, scores: string) => {
    const p = b.add('Softmax', [scores], { axis: -1 })
    return b.add('Where', [b.add('IsNaN', [p]), b.scalar(0), p])
  }
  t.deepEqual(essence(importEncoder(tinyBert({ softmax }))), essence(importEncoder(tinyBert())))
})

test('an unknown activation is refused, known ones are named', (t) => {
  refused(t, tinyBert({ activation: (b, x) => b.add('Sin', [x]) }), undefined, /GELU/)
  const quick = (b: ModelBuilder, x: string) =>
    b.add('Mul', [x, b.add('Sigmoid', [b.add('Mul', [x, b.scalar(1.702)])])])
  refused(t, tinyBert({ activation: quick }), undefined, /GELU/)
  const kinds: Record<string, (b: ModelBuilder, x: string) => string> = {
    silu: (b, x) => b.add('Mul', [b.add('Sigmoid', [x]), x]),
    tanh: (b, x) => b.add('Tanh', [x]),
    gelu: (b, x) =>
      b.add('Mul', [
        b.add('Mul', [
          b.scalar(0.5),
          b.add('Add', [b.add('Erf', [b.add('Mul', [x, b.scalar(Math.SQRT1_2)])]), b.scalar(1)]),
        ]),
        x,
      ]),
    gelu_tanh: (b, x) => {
      const cubic = b.add('Add', [b.scalar(1), b.add('Mul', [b.scalar(0.044715), b.add('Mul', [x, x])])])
      const inner = b.add('Mul', [b.add('Mul', [x, b.scalar(Math.sqrt(2 / Math.PI))]), cubic])
      return b.add('Mul', [b.add('Mul', [x, b.scalar(0.5)]), b.add('Add', [b.add('Tanh', [inner]), b.scalar(1)])])
    },
  }
  for (const [kind, activation] of Object.entries(kinds))
    t.is<string, string>(importEncoder(tinyBert({ activation })).config.activation, kind)
})

test('heads after the encoder are left out, attention after it is not ignored', (t) => {
  const head = (b: ModelBuilder, x: string) => b.linear(b.layerNorm(b.add('Relu', [b.linear(x, 8, 8)]), 8), 8, 20)
  const imported = importEncoder(tinyBert({ after: head }))
  t.is(imported.config.layers, 2)
  t.false(imported.hiddenIsGraphOutput)
  refused(
    t,
    tinyBert({
      after: (b, x) =>
        b.layerNorm(
          b.add('Add', [b.add('MatMul', [b.add('MatMul', [x, b.add('Transpose', [x], { perm: [0, 2, 1] })]), x]), x]),
          8,
        ),
    }),
  )
})

test('one matrix for queries, keys and values is cut into three', (t) => {
  const imports = (['split', 'slice'] as const).map((projections) => importEncoder(tinyBert({ projections })))
  t.deepEqual(essence(imports[0]!), essence(imports[1]!))
  const [weight] = tinyBert({ projections: 'split' }).graph!.initializer.filter(({ dims }) => dims[1] === 24)
  const stored = tensorNumbers(weight!)
  const { parts } = imports[0]!.graph.nodes.find(({ name }) => name === 'layer.0.attention.qkv')!.inputs.w!
  t.deepEqual(
    parts!.map(({ name }) => name.split('.').at(-2)),
    ['query', 'key', 'value'],
  )
  parts!.forEach((part, which) => {
    // [out, in] of the part against [in, 3·out] of the file.
    const rows = Array.from({ length: 64 }, (_, i) => stored[(i % 8) * 24 + which * 8 + Math.floor(i / 8)])
    t.deepEqual([...partNumbers(part)], rows)
  })
})

test('keys may be turned by the product itself', (t) => {
  const product = (b: ModelBuilder, query: string, key: string) =>
    b.add('FusedMatMul', [query, key], { transB: 1, alpha: { float: 1 } }, 'com.microsoft')
  t.deepEqual(essence(importEncoder(tinyBert({ product }))), essence(importEncoder(tinyBert())))
})

test('keys that are not turned are refused', (t) => {
  refused(t, tinyBert({ product: (b, query, key) => b.add('MatMul', [query, key]) }), undefined, /queries/)
})

test('two encoders in one file are refused', (t) => {
  const model = tinyBert({ layers: 1 })
  const second = disguise(tinyBert({ layers: 1, feedForward: 16 })).graph!
  const shared = new Map(second.input.map(({ name }, i) => [name!, model.graph!.input[i]!.name!]))
  for (const node of second.node) node.input = node.input.map((name) => shared.get(name) ?? name)
  model.graph!.node.push(...second.node)
  model.graph!.initializer.push(...second.initializer)
  model.graph!.output.push(...second.output)
  refused(t, model)
})

test('a layer that is not understood is not skipped', (t) => {
  let layer = 0
  refused(t, tinyBert({ layers: 3, activation: (b, x) => b.add(++layer % 3 === 0 ? 'Sin' : 'Relu', [x]) }))
})
