import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { decodeModel, readModel } from '../../lib/onnx/read.js'
import { DataType, type OnnxModel } from '../../lib/onnx/schema.js'
import { writeModelStream, type TensorSource } from '../../lib/onnx/stream.js'
import { encodeModel } from '../../lib/onnx/write.js'
import { temporaryFolder } from '../support/folder.js'
import { tinyBert } from '../support/onnx_models.js'

/** The tensors of a model as sources that give their bytes in small parts. */
function split(model: OnnxModel, part: number): { rest: OnnxModel; sources: TensorSource[] } {
  const sources = model.graph!.initializer.map((tensor) => ({
    name: tensor.name!,
    dims: tensor.dims.map(Number),
    dataType: tensor.dataType!,
    bytes: tensor.rawData!.length,
    content: async function* () {
      for (let at = 0; at < tensor.rawData!.length; at += part) yield tensor.rawData!.subarray(at, at + part)
    },
  }))
  return { rest: { ...model, graph: { ...model.graph!, initializer: [] } }, sources }
}

/** Tensors by name, so that their order does not matter. */
function sorted(model: OnnxModel): OnnxModel {
  const initializer = [...model.graph!.initializer].sort((a, b) => (a.name! < b.name! ? -1 : 1))
  return { ...model, graph: { ...model.graph!, initializer } }
}

test('a model in parts is the model', async (t) => {
  const folder = await temporaryFolder(t)
  const model = tinyBert()
  const { rest, sources } = split(model, 7)
  await writeModelStream(rest, sources, join(folder, 'model.onnx'))
  const written = decodeModel(await readFile(join(folder, 'model.onnx')))
  t.deepEqual(Buffer.from(encodeModel(sorted(written))), Buffer.from(encodeModel(sorted(model))))
  t.deepEqual(await readdir(folder), ['model.onnx'])
})

test('tensors of a large model lie in a second file, the small ones in the model', async (t) => {
  const folder = await temporaryFolder(t)
  const model = tinyBert({ hidden: 24, feedForward: 40 })
  const { rest, sources } = split(model, 1000)
  await writeModelStream(rest, sources, join(folder, 'model.onnx'), { largestFile: 10_000 })
  t.deepEqual((await readdir(folder)).sort(), ['model.onnx', 'model.onnx_data'])
  const outside = decodeModel(await readFile(join(folder, 'model.onnx'))).graph!.initializer
  for (const tensor of outside) {
    const { bytes } = sources.find(({ name }) => name === tensor.name)!
    t.is(tensor.dataLocation === 1, bytes >= 1024, tensor.name)
    const offset = tensor.externalData.find(({ key }) => key === 'offset')?.value ?? '0'
    t.is(Number(offset) % 4096, 0)
  }
  t.true(outside.some(({ dataLocation }) => dataLocation === 1))
  const written = await readModel(join(folder, 'model.onnx'))
  t.deepEqual(Buffer.from(encodeModel(sorted(written))), Buffer.from(encodeModel(sorted(model))))
})

test('a tensor that is shorter than it said leaves no file', async (t) => {
  const folder = await temporaryFolder(t)
  const short: TensorSource = {
    name: 'w',
    dims: [2],
    dataType: DataType.float,
    bytes: 8,
    content: async function* () {
      yield new Uint8Array(4)
    },
  }
  await t.throwsAsync(writeModelStream(tinyBert(), [short], join(folder, 'model.onnx')), {
    code: 'ERR_ONNX_FORMAT',
    message: /"w" gave 4 bytes, not the 8/,
  })
  t.deepEqual(await readdir(folder), [])
})
