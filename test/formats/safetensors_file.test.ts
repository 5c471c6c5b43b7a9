import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { writeSafetensors } from '../../lib/formats/safetensors.js'
import { SafetensorsFile } from '../../lib/formats/safetensors_file.js'
import { temporaryFolder } from '../support/folder.js'
import { halfSafetensorsBytes } from '../support/weights.js'

const large = { shape: [3, 1_000_000], data: Float32Array.from({ length: 3_000_000 }, (_, i) => i / 7) }
const tensors = new Map([
  ['scalar', { shape: [], data: Float32Array.of(7) }],
  ['large', large],
  ['empty', { shape: [0, 4], data: new Float32Array(0) }],
])

async function open(t: ExecutionContext, bytes?: Uint8Array): Promise<SafetensorsFile> {
  const path = join(await temporaryFolder(t), 'x.safetensors')
  if (bytes) await writeFile(path, bytes)
  else await writeSafetensors(path, tensors)
  const file = await SafetensorsFile.open(path)
  t.teardown(() => file.close())
  return file
}

async function all(file: SafetensorsFile, name: string): Promise<Float32Array[]> {
  const parts: Float32Array[] = []
  for await (const part of file.floats(name)) parts.push(part)
  return parts
}

test('a tensor is read alone, in parts', async (t) => {
  const file = await open(t)
  t.deepEqual([...file.tensors.keys()].sort(), ['empty', 'large', 'scalar'])
  t.deepEqual(await all(file, 'scalar'), [Float32Array.of(7)])
  t.deepEqual(await all(file, 'empty'), [])
  const parts = await all(file, 'large')
  t.true(parts.length > 1)
  t.true(Buffer.concat(parts.map((part) => Buffer.from(part.buffer))).equals(Buffer.from(large.data.buffer)))
})

test('half floats are widened', async (t) => {
  const numbers = new Map([['w', { shape: [4], data: Float32Array.of(1, -2.5, 0, 0.125) }]])
  for (const type of ['F16', 'BF16'] as const) {
    const file = await open(t, halfSafetensorsBytes(numbers, type))
    t.is(file.tensors.get('w')!.type, type)
    t.deepEqual(await all(file, 'w'), [numbers.get('w')!.data])
  }
})

test('what is no safetensors file', async (t) => {
  const path = join(await temporaryFolder(t), 'x')
  const fails = (message: RegExp) => t.throwsAsync(SafetensorsFile.open(path), { code: 'ERR_RUN_FILE', message })
  await fails(/cannot be read/)
  await writeFile(path, 'short')
  await fails(/5 bytes, at least 8/)
  await writeFile(path, Buffer.alloc(16, 255))
  await fails(/header of/)
  const whole = halfSafetensorsBytes(new Map([['w', { shape: [4], data: new Float32Array(4) }]]), 'F16')
  await writeFile(path, whole.subarray(0, -1))
  await fails(/ends at byte 8 of 7/)
})
