/** Models that nobody exports: each must end in an error that names the place. */
import test from 'ava'
import { OnnxImportError } from '../../lib/errors.js'
import { importEncoder } from '../../lib/onnx/import.js'
import { DataType, type OnnxModel } from '../../lib/onnx/schema.js'
import { elementCount, firstNotFinite, plainTensor } from '../../lib/onnx/tensor.js'
import { ModelBuilder, floats, onnxNode, tinyBert } from '../support/onnx_models.js'

function changed(change: (graph: NonNullable<OnnxModel['graph']>, model: OnnxModel) => void): OnnxModel {
  const model = tinyBert()
  change(model.graph!, model)
  return model
}

const local = { attribute: [], opsetImport: [], attributeProto: [], domain: 'local' }

const cases: Record<string, { model: () => OnnxModel; code: string }> = {
  'a cycle': {
    code: 'ERR_ONNX_FORMAT',
    model: () =>
      changed((graph) =>
        graph.node.push(onnxNode('Add', ['loop2', 'loop2'], ['loop1']), onnxNode('Neg', ['loop1'], ['loop2'])),
      ),
  },
  'an input that nothing writes': {
    code: 'ERR_ONNX_FORMAT',
    model: () => changed((graph) => (graph.node[3]!.input[0] = 'nowhere')),
  },
  'an output that nothing writes': {
    code: 'ERR_ONNX_FORMAT',
    model: () => changed((graph) => (graph.output[0]!.name = 'nowhere')),
  },
  'two values of one name': {
    code: 'ERR_ONNX_FORMAT',
    model: () => changed((graph) => (graph.node[2]!.output[0] = graph.node[1]!.output[0]!)),
  },
  'a negative size': {
    code: 'ERR_ONNX_FORMAT',
    model: () => changed((graph) => graph.initializer.forEach((tensor) => (tensor.dims[0] = -4))),
  },
  'a huge size': {
    code: 'ERR_ONNX_FORMAT',
    model: () => changed((graph) => graph.initializer.forEach((tensor) => (tensor.dims[0] = 2n ** 62n))),
  },
  'less data than the shape asks for': {
    code: 'ERR_ONNX_FORMAT',
    model: () =>
      changed((graph) => graph.initializer.forEach((tensor) => (tensor.rawData = tensor.rawData!.subarray(1)))),
  },
  'a function that calls itself': {
    code: 'ERR_ONNX_FORMAT',
    model: () =>
      changed((graph, model) => {
        model.functions = [
          { ...local, name: 'F', input: ['a'], output: ['b'], node: [onnxNode('F', ['a'], ['b'], {}, 'local')] },
        ]
        graph.node.push(onnxNode('F', ['input_ids'], ['called'], {}, 'local'))
      }),
  },
  'functions that double': {
    code: 'ERR_ONNX_FORMAT',
    model: () =>
      changed((graph, model) => {
        model.functions = Array.from({ length: 30 }, (_, i) => ({
          ...local,
          name: `F${i}`,
          input: ['a'],
          output: ['c'],
          node:
            i === 29
              ? []
              : [onnxNode(`F${i + 1}`, ['a'], ['b'], {}, 'local'), onnxNode(`F${i + 1}`, ['b'], ['c'], {}, 'local')],
        }))
        graph.node.push(onnxNode('F0', ['input_ids'], ['called'], {}, 'local'))
      }),
  },
  'nodes without inputs': {
    code: 'ERR_ONNX_UNSUPPORTED',
    model: () => changed((graph) => graph.node.forEach((node) => (node.input = []))),
  },
  'squares of squares': {
    code: 'ERR_ONNX_UNSUPPORTED',
    model: () =>
      tinyBert({
        activation: (b, x) => {
          let y = x
          for (let i = 0; i < 60; i++) y = b.add('Mul', [y, y])
          return y
        },
      }),
  },
  'sizes that square themselves': {
    code: 'ERR_ONNX_UNSUPPORTED',
    model: () =>
      tinyBert({
        activation: (b, x) => {
          let size = b.add('Shape', ['input_ids'])
          for (let i = 0; i < 60; i++) size = b.add('Mul', [size, size])
          return b.add('Expand', [x, size])
        },
      }),
  },
  'axes without end': {
    code: 'ERR_ONNX_UNSUPPORTED',
    model: () =>
      tinyBert({
        layers: 1,
        activation: (b, x) => {
          let y = x
          for (let i = 0; i < 5_000; i++) y = b.add('Unsqueeze', [y, b.list(0)])
          return y
        },
      }),
  },
  'a weight turned without end': {
    code: 'ERR_ONNX_UNSUPPORTED',
    model: () =>
      tinyBert({
        layers: 1,
        activation: (b, x) => {
          let w = b.random(12, 12)
          for (let i = 0; i < 10_001; i++) w = b.add('Transpose', [w], { perm: [1, 0] })
          return b.add('MatMul', [x, w])
        },
      }),
  },
  'NaN in a weight': {
    code: 'ERR_ONNX_NAN',
    model: () =>
      changed(
        (graph) =>
          (graph.initializer.find((tensor) => tensor.dims[0] === 20)!.rawData = floats(
            [1],
            Array(160).fill(NaN),
          ).rawData!),
      ),
  },
  'no token ids': {
    code: 'ERR_ONNX_UNSUPPORTED',
    model: () => {
      const b = new ModelBuilder()
      const y = b.add('Relu', ['pixels'])
      return b.model(['pixels'], [y])
    },
  },
  'a CNN': {
    code: 'ERR_ONNX_UNSUPPORTED',
    model: () => {
      const b = new ModelBuilder()
      const features = b.add('Relu', [b.add('Conv', ['image', b.random(4, 3, 3, 3)])])
      return b.model(['image'], [b.linear(b.add('Flatten', [b.add('GlobalAveragePool', [features])]), 4, 2)])
    },
  },
  'a decoder that keeps earlier keys': {
    code: 'ERR_ONNX_CAUSAL',
    model: () => changed((graph) => graph.input.push({ name: 'past_key_values.0.key' })),
  },
  'weights behind DequantizeLinear': {
    code: 'ERR_ONNX_QUANTIZED',
    model: () =>
      changed((graph) => {
        const weight = graph.initializer.find(({ dims }) => dims.length === 2 && dims[0] === 8)!
        const int8 = plainTensor(DataType.int8, weight.dims, { rawData: new Uint8Array(elementCount(weight)) })
        graph.initializer.push({ ...int8, name: 'stored' }, { ...floats([], [0.1]), name: 'step' })
        graph.initializer.splice(graph.initializer.indexOf(weight), 1)
        graph.node.unshift(onnxNode('DequantizeLinear', ['stored', 'step'], [weight.name!]))
      }),
  },
  'a convolution': {
    code: 'ERR_ONNX_UNSUPPORTED',
    model: () => changed((graph) => graph.node.push(onnxNode('Conv', ['input_ids'], ['features']))),
  },
  'quantised weights': {
    code: 'ERR_ONNX_QUANTIZED',
    model: () =>
      changed((graph) => graph.node.push(onnxNode('MatMulInteger', ['input_ids', 'input_ids'], ['product']))),
  },
  'integer weights': {
    code: 'ERR_ONNX_FORMAT',
    model: () =>
      changed((graph) =>
        graph.initializer.forEach((tensor) => {
          if (tensor.dataType === DataType.float && tensor.dims.length === 2)
            Object.assign(
              tensor,
              plainTensor(DataType.int32, tensor.dims, {
                int32Data: Array(Number(tensor.dims[0]) * Number(tensor.dims[1]))
                  .fill(0)
                  .map((_, i) => i),
              }),
              { name: tensor.name },
            )
        }),
      ),
  },
}

for (const [name, { model, code }] of Object.entries(cases)) {
  test(`refused: ${name}`, (t) => {
    const error = t.throws(() => importEncoder(model()), { instanceOf: OnnxImportError })
    t.is(error?.code, code, error?.message)
  })
}

test('NaN and infinity are found among numbers, in float32 and in half floats', (t) => {
  t.is(firstNotFinite(Float32Array.of(1, -3e38, 0, 1e-45)), -1)
  t.is(firstNotFinite(Float32Array.of(1, NaN)), 1)
  t.is(firstNotFinite(Float32Array.of(-Infinity)), 0)
  t.is(firstNotFinite(Uint16Array.of(0x7bff, 0xfbff)), -1)
  t.is(firstNotFinite(Uint16Array.of(0x3c00, 0x7c00)), 1)
})
