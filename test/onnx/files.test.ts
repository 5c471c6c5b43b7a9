/** Reading and writing: every layout of tensors, external data, unknown fields, and files that are no models. */
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import protobuf from 'protobufjs/minimal.js'
import { hashModel } from '../../lib/backbone/hash.js'
import { OnnxImportError } from '../../lib/errors.js'
import { externalFiles } from '../../lib/onnx/external.js'
import { importEncoder } from '../../lib/onnx/import.js'
import { decodeModel, parseModel, readModel } from '../../lib/onnx/read.js'
import { DataType, type OnnxModel, type OnnxTensor } from '../../lib/onnx/schema.js'
import { plainTensor, tensorNumbers } from '../../lib/onnx/tensor.js'
import { encodeModel, writeModel } from '../../lib/onnx/write.js'
import { floats, onnxNode, tinyBert } from '../support/onnx_models.js'

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onnx-files-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

function holding(tensor: OnnxTensor): OnnxModel {
  const model = tinyBert({ layers: 1 })
  model.graph!.initializer.push({ ...tensor, name: 'probe' })
  return model
}

async function throughBytes(tensor: OnnxTensor): Promise<number[]> {
  const model = await parseModel(encodeModel(holding(tensor)))
  return tensorNumbers(model.graph!.initializer.find(({ name }) => name === 'probe')!)
}

const bytes = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
/** 1, -2.5 and 0.5 as half floats. */
const halves = [0x3c00, 0xc100, 0x3800]

const layouts: Record<string, { tensor: OnnxTensor; numbers: number[] }> = {
  'float, raw': { tensor: floats([3], [1, -2.5, 0.5]), numbers: [1, -2.5, 0.5] },
  'float, float_data': {
    tensor: plainTensor(DataType.float, [3], { floatData: [1, -2.5, 0.5] }),
    numbers: [1, -2.5, 0.5],
  },
  'double, raw': {
    tensor: plainTensor(DataType.double, [2], { rawData: bytes(Float64Array.of(1e-3, 7)) }),
    numbers: [1e-3, 7],
  },
  'double, double_data': { tensor: plainTensor(DataType.double, [2], { doubleData: [1e-3, 7] }), numbers: [1e-3, 7] },
  'int64, raw': {
    tensor: plainTensor(DataType.int64, [2], { rawData: bytes(BigInt64Array.of(-1n, 2n ** 40n)) }),
    numbers: [-1, 2 ** 40],
  },
  'int64, int64_data': {
    tensor: plainTensor(DataType.int64, [3], { int64Data: [-1, 2 ** 40, 2n ** 63n - 1n] }),
    numbers: [-1, 2 ** 40, 2 ** 63],
  },
  'int32, raw': {
    tensor: plainTensor(DataType.int32, [2], { rawData: bytes(Int32Array.of(-1, 7)) }),
    numbers: [-1, 7],
  },
  'int32, int32_data': { tensor: plainTensor(DataType.int32, [2], { int32Data: [-1, 7] }), numbers: [-1, 7] },
  'bool, int32_data': { tensor: plainTensor(DataType.bool, [2], { int32Data: [0, 1] }), numbers: [0, 1] },
  'uint64, uint64_data': { tensor: plainTensor(DataType.uint64, [1], { uint64Data: [9] }), numbers: [9] },
  'float16, raw': {
    tensor: plainTensor(DataType.float16, [3], { rawData: bytes(Uint16Array.from(halves)) }),
    numbers: [1, -2.5, 0.5],
  },
  'float16, int32_data': { tensor: plainTensor(DataType.float16, [3], { int32Data: halves }), numbers: [1, -2.5, 0.5] },
  'bfloat16, raw': {
    tensor: plainTensor(DataType.bfloat16, [2], { rawData: bytes(Uint16Array.of(0x3f80, 0xc020)) }),
    numbers: [1, -2.5],
  },
  'no elements': { tensor: floats([0, 4], []), numbers: [] },
}

for (const [name, { tensor, numbers }] of Object.entries(layouts)) {
  test(`a tensor survives writing and reading: ${name}`, async (t) => {
    t.deepEqual(await throughBytes(tensor), numbers)
  })
}

test('a written model is byte for byte the same after another round', async (t) => {
  const first = encodeModel(tinyBert())
  t.deepEqual(encodeModel(await parseModel(first)), first)
})

test('unknown fields are kept', async (t) => {
  const extra = protobuf.Writer.create()
    .uint32((199 << 3) | 2)
    .string('from the future')
    .finish()
  const written = Buffer.concat([encodeModel(tinyBert()), extra])
  const again = Buffer.from(encodeModel(await parseModel(written)))
  t.true(again.includes('from the future'))
})

test('attributes of every kind survive', async (t) => {
  const model = tinyBert({ layers: 1 })
  const node = onnxNode('Strange', [], ['strange'], {
    i: -3,
    f: { float: 0.5 },
    s: 'text',
    ints: [1, -1],
    t: floats([1], [2]),
  })
  model.graph!.node.push(node)
  const read = await parseModel(encodeModel(model))
  const attributes = new Map(read.graph!.node.at(-1)!.attribute.map((attribute) => [attribute.name, attribute]))
  t.is(attributes.get('i')?.i, -3)
  t.is(attributes.get('f')?.f, 0.5)
  t.is(Buffer.from(attributes.get('s')!.s!).toString(), 'text')
  t.deepEqual(attributes.get('ints')?.ints, [1, -1])
  t.deepEqual(tensorNumbers(attributes.get('t')!.t!), [2])
})

test('external data comes back as it was, and no temporary files stay', async (t) => {
  const folder = await temporary(t)
  const path = join(folder, 'model.onnx')
  const model = tinyBert()
  await writeModel(model, path, { external: { threshold: 0 } })
  t.deepEqual((await readdir(folder)).sort(), ['model.onnx', 'model.onnx_data'])
  const read = await readModel(path)
  t.deepEqual(encodeModel(read), encodeModel(model))
  t.deepEqual(importEncoder(read).config, importEncoder(model).config)
})

for (const location of ['/etc/passwd', '../secret', 'a/../../secret', 'link', 'folder', 'missing', '']) {
  test(`external data is refused at "${location}"`, async (t) => {
    const folder = await temporary(t)
    const inner = join(folder, 'model')
    await mkdir(join(inner, 'folder'), { recursive: true })
    await writeFile(join(folder, 'secret'), new Uint8Array(4096))
    await symlink(join(folder, 'secret'), join(inner, 'link'))
    const probe = plainTensor(DataType.float, [2], {
      externalData: [{ key: 'location', value: location }],
      dataLocation: 1,
    })
    await writeFile(join(inner, 'model.onnx'), encodeModel(holding(probe)))
    const error = await t.throwsAsync(readModel(join(inner, 'model.onnx')), {
      instanceOf: OnnxImportError,
      code: 'ERR_ONNX_EXTERNAL',
    })
    t.is(error?.details.tensor, 'probe')
  })
}

test('whoever follows external data refuses what the reader refuses', async (t) => {
  const folder = await temporary(t)
  const file = join(folder, 'model', 'model.onnx')
  await mkdir(join(folder, 'model'))
  await writeFile(join(folder, 'secret'), new Uint8Array(4096))
  await symlink(join(folder, 'secret'), join(folder, 'model', 'link'))
  await writeFile(join(folder, 'model', 'inside'), new Uint8Array(4096))
  const location = (value: string) => ({ key: 'location', value })
  const cases: readonly (readonly [{ key: string; value: string }[], RegExp])[] = [
    [[location('../secret'), location('inside')], /two entries "location"/],
    [[location('inside'), location('../secret')], /two entries "location"/],
    [[location('../secret')], /leads out of the folder/],
    [[location('link')], /is a link that leads out/],
  ]
  for (const [externalData, message] of cases) {
    const probe = plainTensor(DataType.float, [2], { externalData, dataLocation: 1 })
    await writeFile(file, encodeModel(holding(probe)))
    const refusal = { instanceOf: OnnxImportError, code: 'ERR_ONNX_EXTERNAL', message }
    await t.throwsAsync(readModel(file), refusal)
    await t.throwsAsync(hashModel(file), refusal)
    await t.throwsAsync(externalFiles(decodeModel(await readFile(file)), file), refusal)
  }
})

test('external data may be a link beside a model that is a link, as in caches of the hub', async (t) => {
  const folder = await temporary(t)
  const [blobs, snapshot] = [join(folder, 'blobs'), join(folder, 'snapshot')]
  await mkdir(blobs)
  await mkdir(snapshot)
  await writeModel(tinyBert(), join(blobs, 'abc'), { external: { location: 'model.onnx_data', threshold: 0 } })
  await rename(join(blobs, 'model.onnx_data'), join(blobs, 'def'))
  await symlink(join(blobs, 'abc'), join(snapshot, 'model.onnx'))
  await symlink(join(blobs, 'def'), join(snapshot, 'model.onnx_data'))
  t.is(importEncoder(await readModel(join(snapshot, 'model.onnx'))).config.layers, 2)
})

test('external data around and past 4 GiB is read where it lies, and nothing else of the file', async (t) => {
  const folder = await temporary(t)
  const path = join(folder, 'model.onnx')
  const model = tinyBert()
  await writeModel(model, path, { external: { threshold: 0 } })
  // The same data further back, so that the first tensor lies across the border of 32-bit offsets. What is before it
  // is a hole: it takes no room, and reading it would take seconds.
  const shift = 2 ** 32 - 100
  const data = await readFile(`${path}_data`)
  const sparse = await open(`${path}_data`, 'w')
  await sparse.write(data, 0, data.length, shift)
  await sparse.close()
  const moved = decodeModel(await readFile(path))
  for (const { externalData } of moved.graph!.initializer) {
    const offset = externalData.find(({ key }) => key === 'offset')!
    offset.value = String(Number(offset.value) + shift)
  }
  await writeFile(path, encodeModel(moved))
  t.true((await stat(`${path}_data`)).size > 2 ** 32)
  t.true((await stat(`${path}_data`)).blocks * 512 < 2 ** 30, 'this file system keeps no holes')
  const read = await readModel(path)
  t.deepEqual(encodeModel(read), encodeModel(model))
  const own = read.graph!.initializer.map(({ rawData }) => rawData!.buffer.byteLength - rawData!.byteLength)
  t.true(own.every((spare) => spare === 0))
})

test('external data that is too short is refused', async (t) => {
  const path = join(await temporary(t), 'model.onnx')
  await writeModel(tinyBert(), path, { external: { threshold: 0 } })
  await truncate(`${path}_data`, (await stat(`${path}_data`)).size - 1)
  await t.throwsAsync(readModel(path), { instanceOf: OnnxImportError, code: 'ERR_ONNX_EXTERNAL' })
})

test('a file that is not there, a folder, an empty file and a text are refused', async (t) => {
  const folder = await temporary(t)
  await t.throwsAsync(readModel(join(folder, 'none.onnx')), { code: 'ERR_ONNX_MISSING' })
  await t.throwsAsync(readModel(folder), { code: 'ERR_ONNX_MISSING' })
  for (const text of ['', 'version https://git-lfs.github.com/spec/v1\n', '<!doctype html><html></html>']) {
    await writeFile(join(folder, 'text.onnx'), text)
    await t.throwsAsync(readModel(join(folder, 'text.onnx')), { code: 'ERR_ONNX_FORMAT' })
  }
})

test('a model cut anywhere is refused, never half imported', async (t) => {
  const whole = encodeModel(tinyBert({ layers: 1 }))
  for (let length = 0; length < whole.length; length += 97) {
    const error = await t.throwsAsync(async () => importEncoder(await parseModel(whole.subarray(0, length))))
    t.true(error instanceof OnnxImportError, `${length}: ${error?.stack}`)
  }
})

test('damaged bytes never end in anything but an import or an import error', async (t) => {
  const whole = encodeModel(tinyBert({ layers: 1 }))
  let seed = 7
  let refused = 0
  for (let round = 0; round < 400; round++) {
    const copy = new Uint8Array(whole)
    for (let i = 0; i < 3; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      copy[seed % copy.length] = seed >>> 24
    }
    try {
      importEncoder(await parseModel(copy))
    } catch (error) {
      t.true(error instanceof OnnxImportError, `round ${round}: ${(error as Error).stack}`)
      refused++
    }
  }
  // The rest changed names or weights alone, and are still models.
  t.true(refused > 200 && refused < 400, `${refused} of 400 were refused`)
})
