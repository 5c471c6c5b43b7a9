/** Damaged files of other libraries: what is read of them is read or refused, quickly, within the size of the file. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { fromHubTensors, toHubTensors } from '../../lib/formats/adapterhub/adapter_tensors.js'
import { encodeAdapterConfig, readAdapterConfig } from '../../lib/formats/adapterhub/config.js'
import { readJsonFile } from '../../lib/formats/adapterhub/folder.js'
import { encodeHeadConfig, readHeadConfig } from '../../lib/formats/adapterhub/head.js'
import { hubFamily } from '../../lib/formats/adapterhub/names.js'
import { decodeOnnxAdapter, encodeOnnxAdapter, type AdapterTensor } from '../../lib/formats/onnx_adapter.js'
import { encodePeftConfig, peftFiles, readPeftFolder, toPeft } from '../../lib/formats/peft.js'
import { writeSafetensors } from '../../lib/formats/safetensors.js'
import { temporaryFolder } from '../support/folder.js'
import { fuzz } from '../support/fuzz.js'
import { normal } from '../support/random.js'

const model = { hidden: 8, modelType: 'bert', modelClass: 'BertAdapterModel', modelName: 'tiny' }
const bert = hubFamily('bert')!
const codes = ['ERR_INTEROP_FILE', 'ERR_INTEROP_UNSUPPORTED']

const tensor = (name: string, ...shape: number[]) =>
  [
    name,
    {
      shape,
      data: normal(
        name,
        shape.reduce((product, n) => product * n, 1),
      ),
    },
  ] as const

test('damaged .onnx_adapter files are read or refused, never more', async (t) => {
  const tensors = new Map([tensor('head.weight', 3, 8), tensor('head.bias', 3), tensor('scalar')])
  const labels = { shape: [2], data: BigInt64Array.of(3n, 2n) }
  const { read, refused } = await fuzz(t, {
    samples: [
      encodeOnnxAdapter(tensors),
      encodeOnnxAdapter(new Map<string, AdapterTensor>([...tensors, ['labels', labels]])),
    ],
    codes: ['ERR_EXPORT_FILE'],
    read: (bytes) => decodeOnnxAdapter(bytes, 'x'),
  })
  t.true(read > 0 && refused > 0)
})

test.serial('damaged configurations of adapters are read or refused, never more', async (t) => {
  const places = ['attention', 'ffn'].map((place) => `layer.0.${place}.adapter`)
  const ours = new Map(
    places.flatMap((name) => [
      tensor(`${name}.down.weight`, 4, 8),
      tensor(`${name}.down.bias`, 4),
      tensor(`${name}.up.weight`, 8, 4),
      tensor(`${name}.up.bias`, 8),
    ]),
  )
  const weights = [...toHubTensors(ours, 'a', bert, 1, false)]
  const source = new Map(weights.map(([name, { shape, data }]) => [name, { shape, floats: () => data }]))
  const file = join(await temporaryFolder(t), 'adapter_config.json')
  const { read, refused } = await fuzz(t, {
    samples: [Buffer.from(encodeAdapterConfig({ ...model, name: 'a', size: 4, activation: 'gelu', leaveOut: [] }))],
    codes,
    buffers: 2 ** 18,
    read: async (bytes) => {
      writeFileSync(file, bytes)
      const plan = readAdapterConfig((await readJsonFile(file))!, file)
      return fromHubTensors(source, plan, bert, { layers: 1, hidden: 8 }, file)
    },
  })
  t.true(read > 0 && refused > 0)
})

test.serial('damaged configurations of heads are read or refused, never more', async (t) => {
  const file = join(await temporaryFolder(t), 'head_config.json')
  const head = { ...model, name: 'a', outputs: 2, labels: ['no', 'yes'], usePooler: false }
  const { read, refused } = await fuzz(t, {
    samples: (['classification', 'token'] as const).map((kind) => Buffer.from(encodeHeadConfig({ ...head, kind }))),
    codes,
    buffers: 2 ** 18,
    read: async (bytes) => {
      writeFileSync(file, bytes)
      return readHeadConfig((await readJsonFile(file))!, file)
    },
  })
  t.true(read > 0 && refused > 0)
})

test.serial('damaged configurations of peft are read or refused, never more', async (t) => {
  const folder = await temporaryFolder(t)
  const ours = new Map([tensor('embeddings.layer_norm.weight', 8), tensor('head.weight', 2, 8), tensor('head.bias', 2)])
  await writeSafetensors(join(folder, peftFiles.weights), toPeft(ours, 'classification', bert, 1))
  const { read, refused } = await fuzz(t, {
    samples: [Buffer.from(encodePeftConfig('classification', bert, 'tiny'))],
    codes,
    buffers: 2 ** 18,
    read: (bytes) => {
      writeFileSync(join(folder, peftFiles.config), bytes)
      return readPeftFolder(folder, bert, 1)
    },
  })
  t.true(read > 0 && refused > 0)
})

test('an .onnx_adapter file whose tensors share one long shape is refused', (t) => {
  const count = 21
  const empty = (i: number) => ({ shape: new Array<number>(i === 0 ? 100 : 1).fill(0), data: new Float32Array(0) })
  const bytes = Buffer.from(
    encodeOnnxAdapter(new Map(Array.from({ length: count }, (_, i) => [`tensor ${i}`, empty(i)]))),
  )
  t.is(decodeOnnxAdapter(bytes, 'x').size, count)
  const shapeAt = (i: number) => 44 + 4 * count + 20 * i + 8
  const long = shapeAt(0) + bytes.readUInt32LE(shapeAt(0))
  for (let i = 1; i < count; i++) bytes.writeUInt32LE(long - shapeAt(i), shapeAt(i))
  t.throws(() => decodeOnnxAdapter(bytes, 'x'), { code: 'ERR_EXPORT_FILE', message: /on another's place/ })
})
