import test from 'ava'
import { decodeSafetensors, encodeSafetensors, toFloats } from '../../lib/formats/safetensors.js'
import { fuzz } from '../support/fuzz.js'
import { normal } from '../support/random.js'
import { halfSafetensorsBytes } from '../support/weights.js'

const tensors = new Map([
  ['layer.0.attention.adapter.down.weight', { shape: [8, 64], data: normal('down', 512) }],
  ['head.weight', { shape: [3, 64], data: normal('head', 192) }],
  ['head.bias', { shape: [3], data: new Float32Array(3) }],
  ['scalar', { shape: [], data: Float32Array.of(7) }],
])

test('damaged safetensors files are read or refused, never more', async (t) => {
  const plain = Buffer.concat(encodeSafetensors(tensors, { format: 'onnx-adapters' }))
  const half = halfSafetensorsBytes(new Map([...tensors].slice(0, 2)), 'F16')
  const { read, refused } = await fuzz(t, {
    samples: [plain, half],
    codes: ['ERR_RUN_FILE'],
    read: (bytes) => {
      const { tensors: found } = decodeSafetensors(bytes, 'x.safetensors')
      return [...found].map(([name, tensor]) => toFloats(name, tensor))
    },
  })
  t.true(read > 0 && refused > 0)
})
