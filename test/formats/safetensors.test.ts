import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { writeAtomic } from '../../lib/formats/atomic.js'
import {
  decodeSafetensors,
  encodeSafetensors,
  readSafetensors,
  toFloats,
  writeSafetensors,
} from '../../lib/formats/safetensors.js'
import { temporaryFolder } from '../support/folder.js'

const tensors = new Map([
  ['a.weight', { shape: [2, 3], data: Float32Array.of(1, -2, 3.5, 0, -0, 1e-40) }],
  ['empty', { shape: [0, 4], data: new Float32Array(0) }],
  ['scalar', { shape: [], data: Float32Array.of(7) }],
])

function file(header: unknown, content = new Uint8Array(0), length?: number): Uint8Array {
  const plain = typeof header === 'string' || header instanceof Uint8Array
  const text = Buffer.from(plain ? (header as string) : JSON.stringify(header))
  const head = Buffer.alloc(8)
  head.writeBigUInt64LE(BigInt(length ?? text.length))
  return Buffer.concat([head, text, content])
}

test('what is written is read again', async (t) => {
  const path = join(await temporaryFolder(t), 'x.safetensors')
  await writeSafetensors(path, tensors, { task: 'trec', ключ: 'значение' })
  const read = await readSafetensors(path)
  t.deepEqual(read.metadata, { task: 'trec', ключ: 'значение' })
  for (const [name, { shape, data }] of tensors) {
    t.deepEqual(read.tensors.get(name)!.shape, shape)
    t.deepEqual(toFloats(name, read.tensors.get(name)!), data)
  }
})

test('the tensors start at a multiple of eight bytes', (t) => {
  const [head] = encodeSafetensors(new Map([['abc', { shape: [1], data: Float32Array.of(1) }]]))
  t.is(head!.length % 8, 0)
})

test('half floats are widened', (t) => {
  const f16 = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00)
  const header = {
    h: { dtype: 'F16', shape: [4], data_offsets: [0, 8] },
    b: { dtype: 'BF16', shape: [1], data_offsets: [8, 10] },
  }
  const { tensors: read } = decodeSafetensors(
    file(header, Buffer.concat([new Uint8Array(f16.buffer), Uint8Array.of(0x80, 0x3f)])),
    'x',
  )
  t.deepEqual([...toFloats('h', read.get('h')!)], [1, -2, 2 ** -24, Infinity])
  t.deepEqual([...toFloats('b', read.get('b')!)], [1])
  const integer = decodeSafetensors(
    file({ i: { dtype: 'I32', shape: [1], data_offsets: [0, 4] } }, new Uint8Array(4)),
    'x',
  )
  t.throws(() => toFloats('i', integer.tensors.get('i')!), { code: 'ERR_RUN_FILE', message: /I32/ })
})

const entry = (first: number, last: number, shape = [1], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [first, last],
})

const broken: Readonly<Record<string, Uint8Array>> = {
  'too short': Uint8Array.of(1, 2, 3),
  'a header longer than the file': file('{}', new Uint8Array(0), 1000),
  'a header length of 2^60': file('{}', new Uint8Array(0), 2 ** 60),
  'a header that is not JSON': file('{"a":'),
  // All but a byte of the name is as it should be.
  'a header that is not UTF-8': file(
    Buffer.from('{"a\u00ff":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 'latin1'),
    new Uint8Array(4),
  ),
  'a header that is a list': file([]),
  'metadata that are not strings': file({ __metadata__: { a: 1 } }),
  'an unknown type': file({ a: entry(0, 4, [1], 'F7') }, new Uint8Array(4)),
  'a type that is a property of every object': file({ a: entry(0, 4, [1], 'constructor') }, new Uint8Array(4)),
  'a negative size': file({ a: entry(0, 4, [-1]) }, new Uint8Array(4)),
  'offsets that go back': file({ a: entry(4, 0) }, new Uint8Array(4)),
  'a size that its shape contradicts': file({ a: entry(0, 8) }, new Uint8Array(8)),
  'a shape whose product is not exact': file({ a: entry(0, 4, [2 ** 40, 2 ** 40]) }, new Uint8Array(4)),
  'an end outside the file': file({ a: entry(0, 4) }, new Uint8Array(2)),
  'an overlap': file({ a: entry(0, 8, [2]), b: entry(4, 8) }, new Uint8Array(8)),
  'a gap': file({ a: entry(0, 4), b: entry(8, 12) }, new Uint8Array(12)),
  'bytes of no tensor': file({ a: entry(0, 4) }, new Uint8Array(5)),
  'an entry that is null': file({ a: null }),
}

for (const [what, bytes] of Object.entries(broken)) {
  test(`refuses ${what}`, (t) => {
    t.throws(() => decodeSafetensors(bytes, 'x.safetensors'), { code: 'ERR_RUN_FILE', message: /x\.safetensors/ })
  })
}

test('a shape that does not fit its values is not written', (t) => {
  t.throws(() => encodeSafetensors(new Map([['a', { shape: [2], data: new Float32Array(3) }]])), {
    code: 'ERR_RUN_FILE',
  })
})

test('a file that is not there', async (t) => {
  await t.throwsAsync(readSafetensors('/nowhere/x.safetensors'), { code: 'ERR_RUN_FILE' })
})

test('an atomic write replaces the file and leaves nothing else', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'a'), 'old')
  await writeAtomic(join(folder, 'a'), 'new', Uint8Array.of(33))
  t.is(await readFile(join(folder, 'a'), 'utf8'), 'new!')
  t.deepEqual(await readdir(folder), ['a'])
})

test('a failed atomic write leaves the old file', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'a'), 'old')
  await t.throwsAsync(writeAtomic(join(folder, 'a'), 'new', 5 as never))
  t.is(await readFile(join(folder, 'a'), 'utf8'), 'old')
  t.deepEqual(await readdir(folder), ['a'])
})
