import { join } from 'node:path'
import test from 'ava'
import { resolveBackbone } from '../../lib/backbone/resolve.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'

test('a folder with its model at the top', async (t) => {
  const folder = join(await temporaryFolder(t), 'mini')
  await writeFiles(folder, { 'model.onnx': '', 'config.json': '', 'tokenizer.json': '' })
  t.deepEqual(await resolveBackbone(folder), {
    name: 'mini',
    model: join(folder, 'model.onnx'),
    config: join(folder, 'config.json'),
    tokenizer: join(folder, 'tokenizer.json'),
  })
})

test('a folder with its model in onnx/', async (t) => {
  const folder = join(await temporaryFolder(t), 'mini')
  await writeFiles(folder, { 'tokenizer.json': '' })
  await writeFiles(join(folder, 'onnx'), { 'model.onnx': '', 'model_quantized.onnx': '' })
  const expected = {
    name: 'mini',
    model: join(folder, 'onnx', 'model.onnx'),
    config: undefined,
    tokenizer: join(folder, 'tokenizer.json'),
  }
  t.deepEqual(await resolveBackbone(folder), expected)
  t.deepEqual(await resolveBackbone(join(folder, 'onnx', 'model.onnx')), expected)
})

test('a model file of any name', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, { 'encoder.onnx': '', 'tokenizer.json': '' })
  t.like(await resolveBackbone(join(folder, 'encoder.onnx')), {
    model: join(folder, 'encoder.onnx'),
    tokenizer: join(folder, 'tokenizer.json'),
  })
})

test('what is not there', async (t) => {
  const folder = await temporaryFolder(t)
  const error = await t.throwsAsync(resolveBackbone(folder), {
    code: 'ERR_ONNX_MISSING',
    message: /neither model\.onnx nor onnx/,
  })
  t.like(error, { details: { looked: [join(folder, 'model.onnx'), join(folder, 'onnx', 'model.onnx')] } })
  await t.throwsAsync(resolveBackbone('some-name-of-a-model'), {
    code: 'ERR_ONNX_MISSING',
    message: /no such folder or file/,
  })
  await writeFiles(join(folder, 'onnx'), { 'model_fp16.onnx': '' })
  await t.throwsAsync(resolveBackbone(folder), { message: /it has onnx\/model_fp16\.onnx: name the one that is meant/ })
})
