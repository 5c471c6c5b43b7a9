/** Damaged model files: the reader and the importer take them or say what is wrong, quickly, within the size of the file. */
import test from 'ava'
import { importEncoder } from '../../lib/onnx/import.js'
import { decodeModel } from '../../lib/onnx/read.js'
import { encodeModel } from '../../lib/onnx/write.js'
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

test('damaged model files are decoded or refused, never more', (t) => {
  const { read, refused } = fuzz(t, {
    samples: [encodeModel(tinyBert())],
    codes,
    read: (bytes) => decodeModel(bytes, 'x.onnx'),
  })
  t.true(read > 0 && refused > 0)
})

test('damaged model files: what they still say is imported or refused, never more', (t) => {
  const { read, refused } = fuzz(t, {
    samples: [encodeModel(tinyBert())],
    codes,
    seed: 2,
    read: (bytes) => importEncoder(decodeModel(bytes, 'x.onnx')),
  })
  t.true(read > 0 && refused > 0)
})
