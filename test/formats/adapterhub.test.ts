import test from 'ava'
import { readActivation, writeActivation } from '../../lib/formats/adapterhub/activations.js'
import { readAdapterConfig, encodeAdapterConfig } from '../../lib/formats/adapterhub/config.js'
import { fromHubTensors, toHubTensors } from '../../lib/formats/adapterhub/adapter_tensors.js'
import { encodeHeadConfig, fromHubHead, readHeadConfig } from '../../lib/formats/adapterhub/head.js'
import { currentName, hubFamily } from '../../lib/formats/adapterhub/names.js'
import { bottleneckSize, reductionFactor } from '../../lib/formats/adapterhub/reduction.js'
import { normal } from '../support/random.js'

const model = { hidden: 8, modelType: 'bert', modelClass: 'BertAdapterModel', modelName: 'tiny' }
const bert = hubFamily('bert')!

/** The least that the library accepts, and more. */
const minimal = (more: object = {}, root: object = {}) => ({
  name: 'sst',
  version: 'adapters.1.3.0',
  config: { mh_adapter: true, output_adapter: true, reduction_factor: 2, non_linearity: 'relu', ...more },
  ...root,
})

test('every size of a bottleneck comes back from its reduction factor', (t) => {
  const wrong: [number, number][] = []
  for (const hidden of [32, 312, 384, 768, 1024])
    for (let size = 1; size <= 1.5 * hidden; size++)
      if (bottleneckSize(hidden, reductionFactor(hidden, size)) !== size) wrong.push([hidden, size])
  t.deepEqual(wrong, [])
  t.is(reductionFactor(768, 64), 12)
  // As Python says: int(768 // (768 / 13)) is 12.
  t.is(bottleneckSize(768, 768 / 13), 12)
  t.is(bottleneckSize(8, 100), 1)
})

test('activations by name, and by the version of the file', (t) => {
  for (const name of ['gelu_tanh', 'gelu', 'relu', 'silu', 'tanh'] as const)
    t.is(readActivation(writeActivation(name), true), name)
  t.is(readActivation('gelu', true), 'gelu')
  t.is(readActivation('gelu', false), 'gelu_tanh')
  t.is(readActivation('gelu_orig', false), 'gelu')
  t.is(readActivation('gelu_orig', true), undefined)
  t.is(readActivation('Swish', true), 'silu')
  t.is(readActivation('leakyrelu', true), undefined)
})

test('what is written is read again', (t) => {
  const text = encodeAdapterConfig({ ...model, name: 'a', size: 3, activation: 'gelu_tanh', leaveOut: [1] })
  // The library refuses the whole number 1.
  t.regex(text, /"scaling": 1\.0,/)
  const plan = readAdapterConfig(JSON.parse(text) as never, 'x.json')
  t.like(plan, { name: 'a', activation: 'gelu_tanh', attention: true, ffn: true, leaveOut: [1], scaling: 1 })
  t.is(plan.size(0, 8), 3)
})

test('the forms of a reduction factor', (t) => {
  const sizes = (factor: unknown) => {
    const plan = readAdapterConfig(minimal({ reduction_factor: factor }), 'x.json')
    return [0, 1].map((layer) => plan.size(layer, 8))
  }
  t.deepEqual(sizes(2), [4, 4])
  t.deepEqual(sizes(0.5), [16, 16])
  t.deepEqual(sizes({ '1': 8, default: 2 }), [4, 1])
  t.deepEqual(sizes({ '0': 4, '1': 2 }), [2, 4])
  t.throws(() => sizes({ '0': 4 }), { code: 'ERR_INTEROP_FILE', message: /reduction_factor\.default/ })
  t.deepEqual(sizes(8 / 65_536), [65_536, 65_536])
  for (const factor of [0, -1, '2', null, 1e-4, 1e-300, 5e-324, { default: 1e-9 }])
    t.throws(() => sizes(factor), { code: 'ERR_INTEROP_FILE' })
})

test('unknown keys are read over', (t) => {
  t.is(readAdapterConfig(minimal({ future_key: 7 }, { type: 'text_task' }), 'x.json').activation, 'relu')
})

const refused: Readonly<Record<string, readonly [object, string]>> = {
  'a norm in front': [minimal({ original_ln_before: true }), 'config.original_ln_before'],
  'no norm behind': [minimal({ original_ln_after: false }), 'config.original_ln_after'],
  'norms of its own': [minimal({ ln_before: true }), 'config.ln_before'],
  'norms behind': [minimal({ ln_after: true }), 'config.ln_after'],
  'a parallel adapter': [minimal({ is_parallel: true }), 'config.is_parallel'],
  'a gate': [minimal({ use_gating: true }), 'config.use_gating'],
  compacter: [minimal({ phm_layer: true }), 'config.phm_layer'],
  'an invertible adapter': [minimal({ inv_adapter: 'nice' }), 'config.inv_adapter'],
  'an invertible adapter of old': [minimal({ invertible_adapter: {} }), 'config.invertible_adapter'],
  'a residual of another place': [minimal({ residual_before_ln: 'post_add' }), 'config.residual_before_ln'],
  'another architecture': [minimal({ architecture: 'lora' }), 'config.architecture'],
  'an activation that is unknown': [minimal({ non_linearity: 'mish' }), 'config.non_linearity'],
  'an activation that is a property of every object': [
    minimal({ non_linearity: 'constructor' }),
    'config.non_linearity',
  ],
  'another scaling': [minimal({ scaling: 'twice' }), 'config.scaling'],
  'a name with a dot': [minimal({}, { name: 'a.b' }), 'name'],
  'no name': [minimal({}, { name: undefined }), 'name'],
  'a configuration by name': [minimal({}, { config: 'houlsby' }), 'config'],
  'layers left out that are no list': [minimal({ leave_out: 'all' }), 'config.leave_out'],
  'neither place': [minimal({ mh_adapter: false, output_adapter: false }), 'config.output_adapter'],
  'a flag that is text': [minimal({ mh_adapter: 'yes' }), 'config.mh_adapter'],
}

for (const [what, [root, key]] of Object.entries(refused)) {
  test(`refuses ${what}, naming the key`, (t) => {
    const error = t.throws(() => readAdapterConfig(root as never, 'x.json'), { message: new RegExp(`"${key}"`) })
    t.like(error, { name: 'InteropError', details: { key, file: 'x.json' } })
  })
}

const size = { layers: 2, hidden: 8 }
const tensor = (name: string, ...shape: number[]) => {
  const data = normal(
    name,
    shape.reduce((product, n) => product * n, 1),
  )
  return { shape, data, floats: () => data }
}

/** Tensors of a run with adapters of 3 in both layers. */
function runTensors() {
  const tensors = new Map([['embeddings.layer_norm.weight', tensor('e', 8)]])
  for (const layer of [0, 1])
    for (const place of ['attention', 'ffn']) {
      const prefix = `layer.${layer}.${place}`
      tensors.set(`${prefix}.adapter.down.weight`, tensor(`${prefix}.dw`, 3, 8))
      tensors.set(`${prefix}.adapter.down.bias`, tensor(`${prefix}.db`, 3))
      tensors.set(`${prefix}.adapter.up.weight`, tensor(`${prefix}.uw`, 8, 3))
      tensors.set(`${prefix}.adapter.up.bias`, tensor(`${prefix}.ub`, 8))
      tensors.set(`${prefix}.layer_norm.weight`, tensor(`${prefix}.g`, 8))
    }
  return tensors
}

function asSource(tensors: ReturnType<typeof toHubTensors>, rename = (name: string) => name) {
  return new Map([...tensors].map(([name, { shape, data }]) => [rename(name), { shape, floats: () => data }]))
}

const plan = readAdapterConfig(minimal({ reduction_factor: 8 / 3.5 }), 'x.json')
const read = (source: ReturnType<typeof asSource>, changed: Partial<typeof plan> = {}, family = bert) =>
  fromHubTensors(source, { ...plan, ...changed }, family, size, 'x.bin')

for (const architecture of ['bert', 'roberta', 'electra', 'distilbert']) {
  test(`tensors of ${architecture} go out and come in again, with any prefix`, (t) => {
    const family = hubFamily(architecture)!
    const ours = runTensors()
    const written = toHubTensors(ours, 'sst', family, 2, true)
    t.true([...written.keys()].every((name) => name.startsWith(family.prefix)))
    for (const rename of [(name: string) => name, (name: string) => name.slice(family.prefix.length)]) {
      const { tensors, hasNorms, layers } = read(asSource(written, rename), {}, family)
      t.deepEqual([hasNorms, layers], [true, [0, 1]])
      t.deepEqual([...tensors.keys()].sort(), [...ours.keys()].sort())
      for (const [name, { data }] of ours) t.deepEqual(tensors.get(name)!.data, data)
    }
  })
}

test('legacy names, and no LayerNorms', (t) => {
  const written = asSource(toHubTensors(runTensors(), 'sst', bert, 2, false), (name) =>
    name.replace(/adapters/, name.includes('attention') ? 'attention_text_task_adapters' : 'layer_text_lang_adapters'),
  )
  t.true([...written.keys()].some((name) => name.includes('layer_text_lang_adapters')))
  const { tensors, hasNorms } = read(written)
  t.deepEqual([tensors.size, hasNorms], [16, false])
  t.is(
    currentName('bert.encoder.layer.0.output.layer_text_task_adapters.a.x', bert),
    'encoder.layer.0.output.adapters.a.x',
  )
})

test('tensors of other adapters are left alone', (t) => {
  const all = new Map([
    ...asSource(toHubTensors(runTensors(), 'sst', bert, 2, false)),
    ...asSource(toHubTensors(runTensors(), 'sst2', bert, 2, false)),
  ])
  t.is(read(all).tensors.size, 16)
})

test('scaling goes into the weights', (t) => {
  const written = asSource(toHubTensors(runTensors(), 'sst', bert, 2, false))
  const plainUp = read(written).tensors.get('layer.0.ffn.adapter.up.weight')!.data
  const twice = read(written, { scaling: 2 }).tensors.get('layer.0.ffn.adapter.up.weight')!.data
  t.deepEqual(
    twice,
    plainUp.map((value) => 2 * value),
  )
  for (const [scaling, count] of [
    ['learned', 1],
    ['channel', 8],
  ] as const) {
    const values = Float32Array.from({ length: count }, (_, i) => 1 + i)
    const withTensor = new Map(written)
    for (const layer of [0, 1])
      for (const place of ['attention.output', 'output'])
        withTensor.set(`bert.encoder.layer.${layer}.${place}.adapters.sst.scaling`, {
          shape: [count],
          floats: () => values,
        })
    const scaled = read(withTensor, { scaling }).tensors.get('layer.0.ffn.adapter.up.weight')!.data
    t.deepEqual(
      scaled,
      plainUp.map((value, i) => (count === 1 ? 1 : 1 + Math.floor(i / 3)) * value),
    )
  }
})

test('a place or a layer without an adapter', (t) => {
  const written = asSource(toHubTensors(runTensors(), 'sst', bert, 2, false))
  const ffn = new Map([...written].filter(([name]) => !name.includes('attention')))
  const { tensors } = read(ffn, { attention: false })
  t.true(tensors.get('layer.1.attention.adapter.up.weight')!.data.every((value) => value === 0))
  const second = new Map([...written].filter(([name]) => !name.includes('layer.0')))
  t.deepEqual(read(second, { leaveOut: [0] }).layers, [1])
})

test('narrow bottlenecks are filled up with zeros', (t) => {
  const written = asSource(toHubTensors(runTensors(), 'sst', bert, 2, false))
  const sizes = (layer: number) => (layer === 0 ? 3 : 2)
  for (const [name, { shape, floats }] of written) {
    if (!name.includes('layer.1')) continue
    const narrow = shape.map((n) => (n === 3 ? 2 : n))
    const length = narrow.reduce((product, n) => product * n, 1)
    written.set(name, { shape: narrow, floats: () => floats().slice(0, length) })
  }
  const { tensors, size: widest } = read(written, { size: sizes })
  t.is(widest, 3)
  t.deepEqual(tensors.get('layer.1.ffn.adapter.down.weight')!.shape, [3, 8])
  t.true(
    tensors
      .get('layer.1.ffn.adapter.down.weight')!
      .data.slice(16)
      .every((value) => value === 0),
  )
})

test('what a file lacks or has too much', (t) => {
  const written = asSource(toHubTensors(runTensors(), 'sst', bert, 2, true))
  const name = 'bert.encoder.layer.1.output.adapters.sst.adapter_up.weight'
  const lacking = new Map(written)
  lacking.delete(name)
  t.throws(() => read(lacking), { code: 'ERR_INTEROP_FILE', message: /no tensor "encoder\.layer\.1\.output/ })
  const other = new Map(written).set(name, { shape: [8, 4], floats: () => new Float32Array(32) })
  t.throws(() => read(other), { code: 'ERR_INTEROP_FILE', message: /is \[8, 4\], expected \[8, 3\]/ })
  const value = { shape: [1], floats: () => new Float32Array(1) }
  const gate = new Map(written).set('bert.encoder.layer.0.output.adapters.sst.gate.bias', value)
  t.throws(() => read(gate), { code: 'ERR_INTEROP_UNSUPPORTED', message: /gate\.bias/ })
  const query = new Map(written).set('bert.encoder.layer.0.attention.self.query.bias', value)
  t.throws(() => read(query), { code: 'ERR_INTEROP_UNSUPPORTED', message: /encoder's own/ })
  const twice = new Map(written).set(name.replace('bert.', ''), value)
  t.throws(() => read(twice), { code: 'ERR_INTEROP_FILE', message: /two tensors mean/ })
})

const head = (config: unknown, root: object = {}) => ({ name: 'sst', version: 'adapters.1.3.0', config, ...root })

test('heads are written and read again', (t) => {
  for (const kind of ['classification', 'multilabel', 'token', 'span', 'regression'] as const) {
    const outputs = kind === 'regression' ? 1 : 2
    const labels = kind === 'regression' || kind === 'span' ? undefined : ['b', '1']
    const text = encodeHeadConfig({ ...model, name: 'sst', kind, outputs, labels, usePooler: kind === 'multilabel' })
    const found = readHeadConfig(JSON.parse(text) as never, 'h.json')
    t.like(found, { kind, outputs, pool: kind === 'multilabel' ? 'pooler' : 'cls', tensors: 'heads.sst.1' })
    t.deepEqual(found.labels, labels)
  }
})

test("heads of transformers' own classes", (t) => {
  const root = head(null, {
    model_class: 'BertForSequenceClassification',
    num_labels: 2,
    label2id: { no: 0, yes: '1' },
  })
  t.deepEqual(readHeadConfig(root, 'h.json'), {
    kind: 'classification',
    pool: 'pooler',
    tensors: 'classifier',
    outputs: 2,
    labels: ['no', 'yes'],
    bias: true,
  })
})

const refusedHeads: Readonly<Record<string, readonly [object, string]>> = {
  'two layers': [head({ head_type: 'classification', layers: 2, num_labels: 2 }), 'config.layers'],
  'two layers by default': [head({ head_type: 'classification', num_labels: 2 }), 'config.layers'],
  'another type': [head({ head_type: 'masked_lm' }), 'config.head_type'],
  'a type that is a property of every object': [head({ head_type: 'constructor' }), 'config.head_type'],
  'a class with a head of two layers': [head(null, { model_class: 'RobertaForSequenceClassification' }), 'model_class'],
  'a span of three': [head({ head_type: 'question_answering', num_labels: 3 }), 'config.num_labels'],
  'no outputs': [head({ head_type: 'tagging', num_labels: 0 }), 'config.num_labels'],
  'labels of another number': [head({ head_type: 'tagging', num_labels: 2, label2id: { a: 0 } }), 'config.label2id'],
  'two labels of one output': [head({ head_type: 'tagging', label2id: { a: 0, b: 0 } }), 'config.label2id'],
  'a label far away': [head({ head_type: 'tagging', label2id: { a: 0, b: 4e9 } }), 'config.label2id'],
}

for (const [what, [root, key]] of Object.entries(refusedHeads)) {
  test(`refuses a head of ${what}, naming the key`, (t) => {
    const error = t.throws(() => readHeadConfig(root as never, 'h.json'), { message: new RegExp(`"${key}"`) })
    t.like(error, { details: { key } })
  })
}

test('a head is found by its whole name', (t) => {
  const source = new Map(
    ['sst', 'sst2'].flatMap((name, i) => [
      [`heads.${name}.1.weight`, { shape: [2, 8], floats: () => new Float32Array(16).fill(i) }],
      [`heads.${name}.1.bias`, { shape: [2], floats: () => new Float32Array(2).fill(i) }],
    ]),
  ) as never
  const planned = readHeadConfig(head({ head_type: 'tagging' }), 'h.json')
  t.true(
    fromHubHead(source, planned, 8, 'h.bin')
      .get('head.weight')!
      .data.every((value) => value === 0),
  )
  t.throws(() => fromHubHead(new Map(), planned, 8, 'h.bin'), { code: 'ERR_INTEROP_FILE', message: /is not there/ })
  t.throws(() => fromHubHead(source, { ...planned, outputs: 3 }, 8, 'h.bin'), { message: /expected \[3, 8\]/ })
})
