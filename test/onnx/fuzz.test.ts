/** Damaged model files: the reader and the importer take them or say what is wrong, quickly, within the size of the file. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { importEncoder } from '../../lib/onnx/import.js'
import { decodeModel } from '../../lib/onnx/read.js'
import { readRecords } from '../../lib/onnx/records.js'
import { encodeModel } from '../../lib/onnx/write.js'
import { temporaryFolder } from '../support/folder.js'
import { fuzz } from '../support/fuzz.js'
import { tinyBert } from '../support/onnx_models.js'

const codes = [
  'ERR_ONNX_FORMAT',
  'ERR_ONNX_UNSUPPORTED',
  'ERR_ONNX_CAUSAL',
  'ERR_ONNX_QUANTIZED',
  'ERR_ONNX_NAN',
  'ERR_ONNX_MISSING',
  'ERR_ONNX_EXTERNAL',
]

test('damaged model files are decoded or refused, never more', async (t) => {
  const { read, refused } = await fuzz(t, {
    samples: [encodeModel(tinyBert())],
    codes,
    read: (bytes) => decodeModel(bytes, 'x.onnx'),
  })
  t.true(read > 0 && refused > 0)
})

test('damaged model files: what they still say is imported or refused, never more', async (t) => {
  const { read, refused } = await fuzz(t, {
    samples: [encodeModel(tinyBert())],
    codes,
    seed: 2,
    read: (bytes) => importEncoder(decodeModel(bytes, 'x.onnx')),
  })
  t.true(read > 0 && refused > 0)
})

test.serial('damaged model files: their records are found or refused, never more', async (t) => {
  const file = join(await temporaryFolder(t), 'x.onnx')
  const { read, refused } = await fuzz(t, {
    samples: [encodeModel(tinyBert())],
    codes,
    seed: 3,
    buffers: 2 ** 20,
    read: (bytes) => {
      writeFileSync(file, bytes)
      return readRecords(file)
    },
  })
  t.true(read > 0 && refused > 0)
})

test('a file of nothing but fields of two bytes is refused', async (t) => {
  const file = join(await temporaryFolder(t), 'x.onnx')
  // Field 15 is none of a model.
  writeFileSync(file, Buffer.alloc(1_200_000, Buffer.from([15 * 8, 0])))
  await t.throwsAsync(readRecords(file), { code: 'ERR_ONNX_FORMAT', message: /more than 500000 fields/ })
})
