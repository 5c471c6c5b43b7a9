import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { zipSync } from 'fflate'
import { decodeTorch, encodeTorch, readTorchFile, writeTorchFile } from '../../lib/formats/torch_file.js'
import { temporaryFolder } from '../support/folder.js'
import { fuzz } from '../support/fuzz.js'
import { bytesOf, dictionary, storages, tensor, text, torchFile } from '../support/pickles.js'
import { normal } from '../support/random.js'
import { packagePath } from '../support/shared.js'

const golden = (name: string) => readFileSync(packagePath('test', 'golden', 'torch', `${name}.bin`))

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i)

/** What test/golden/make_torch_files.py puts into zip.bin and plain.bin: shape and values. */
const expected: Readonly<Record<string, readonly [readonly number[], readonly number[]]>> = {
  a: [[3, 4], upTo(12)],
  'a.transposed': [
    [4, 3],
    [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11],
  ],
  'a.part': [
    [2, 2],
    [4, 6, 8, 10],
  ],
  half: [[3, 4], upTo(12)],
  bfloat16: [[3, 4], upTo(12)],
  double: [[3, 4], upTo(12)],
  long: [[3], upTo(3)],
  int: [[3], upTo(3)],
  short: [[3], upTo(3)],
  char: [[3], [0, -1, -2]],
  byte: [[3], upTo(3)],
  bool: [[2], [1, 0]],
  scalar: [[], [2.5]],
  empty: [[0, 3], []],
  parameter: [[4], upTo(4)],
}

for (const layout of ['zip', 'plain']) {
  test(`what torch.save wrote is read: ${layout}`, (t) => {
    const tensors = decodeTorch(golden(layout), 'x.bin')
    const read = [...tensors].map(([name, tensor]) => [name, [tensor.shape, [...tensor.floats()]]])
    t.deepEqual(Object.fromEntries(read), expected)
    t.is(tensors.get('half')!.type, 'HalfStorage')
  })
}

test('a state dict is read, its attributes are not', (t) => {
  const tensors = decodeTorch(golden('state_dict'), 'x.bin')
  t.deepEqual([...tensors.keys()], ['weight', 'bias'])
  t.deepEqual([...tensors.get('weight')!.floats()], upTo(6))
})

test('what is more than tensors is refused by its name', (t) => {
  const refused = (name: string, message: RegExp) =>
    t.throws(() => decodeTorch(golden(name), 'x.bin'), { code: 'ERR_TORCH_FILE', message })
  refused('text', /"note" is no tensor/)
  const { details } = refused('module', /"torch\.nn\.modules\.linear\.Linear", which is no part of a tensor/)! as never
  t.is((details as { global: string }).global, 'torch.nn.modules.linear.Linear')
})

test('what is written is read again, aligned as by torch', async (t) => {
  const file = join(await temporaryFolder(t), 'x.bin')
  const tensors = new Map([
    ['layer.weight', { shape: [3, 5], data: normal('w', 15) }],
    ['größe', { shape: [], data: Float32Array.of(7) }],
    ['empty', { shape: [0, 2], data: new Float32Array(0) }],
  ])
  await writeTorchFile(file, tensors, 'pytorch_adapter')
  const read = await readTorchFile(file)
  t.deepEqual([...read.keys()], [...tensors.keys()])
  for (const [name, { shape, data }] of tensors) {
    t.deepEqual(read.get(name)!.shape, shape)
    t.deepEqual(read.get(name)!.floats(), data)
  }
  const bytes = readFileSync(file)
  t.is(bytes.indexOf(Buffer.from(tensors.get('layer.weight')!.data.buffer)) % 64, 0)
  t.throws(() => encodeTorch(new Map([['a', { shape: [2], data: new Float32Array(3) }]]), 'x'), {
    code: 'ERR_TORCH_FILE',
  })
})

test('a file of a big-endian machine', (t) => {
  const swapped = Buffer.from(storages['x/data/0']).swap32()
  const files = { 'x/data/0': swapped, 'x/byteorder': Buffer.from('big') }
  const tensors = decodeTorch(torchFile(dictionary(tensor()), files), 'x.bin')
  t.deepEqual([...tensors.get('a')!.floats()], upTo(4))
})

test('two tensors may share a storage', (t) => {
  const both = bytesOf('\x80\x02}(', text('a'), tensor(), text('b'), tensor({ shape: [2], offset: 1 }), 'u.')
  const tensors = decodeTorch(torchFile(both), 'x.bin')
  t.deepEqual([...tensors.get('b')!.floats()], [1, 2])
})

const plain = golden('plain')
const zip = golden('zip')

/** zip.bin with some bytes changed. */
function changed(change: (bytes: Buffer, view: DataView) => void): Uint8Array {
  const bytes = Buffer.from(zip)
  change(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length))
  return bytes
}
const directory = zip.indexOf(Buffer.from('PK\x01\x02', 'latin1'))
const second = zip.indexOf(Buffer.from('PK\x01\x02', 'latin1'), directory + 4)
const end64 = zip.indexOf(Buffer.from('PK\x06\x06', 'latin1'))

/** LONG_BINPUT, again and again. */
function memories(count: number): Uint8Array {
  const bytes = Buffer.alloc(5 * count, 'r')
  for (let i = 0; i < count; i++) bytes.writeUInt32LE(i, 5 * i + 1)
  return bytes
}

const hostile: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
  'an empty file': [new Uint8Array(0), /neither like a ZIP/],
  'a pointer of git-lfs': [Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /git lfs pull/],
  'a cut archive': [zip.subarray(0, -1), /without an end/],
  'a cut plain file': [plain.subarray(0, -1), /the file is cut/],
  'bytes behind a plain file': [bytesOf(plain, 'x'), /belong to no tensor/],
  'a pickle of something else': [bytesOf('\x80\x02K\x01.'), /not one of torch\.save/],
  'a byte changed in a storage': [
    changed((bytes) => (bytes[bytes.indexOf(Buffer.from(Float32Array.of(1, 2, 3).buffer))]! ^= 1)),
    /checksum/,
  ],
  'two entries at one place': [
    changed((_, view) => view.setUint32(second + 42, view.getUint32(directory + 42, true), true)),
    /overlaps|another name/,
  ],
  'an entry outside the file': [changed((_, view) => view.setUint32(directory + 42, 0xfffffff0, true)), /not where/],
  'an entry larger than the file': [
    changed((_, view) => {
      view.setUint32(directory + 20, 0x7fffffff, true)
      view.setUint32(directory + 24, 0x7fffffff, true)
    }),
    /does not fit/,
  ],
  'a million entries': [changed((_, view) => view.setBigUint64(end64 + 32, 1_000_000n, true)), /does not fit/],
  'a directory outside the file': [
    changed((_, view) => view.setBigUint64(end64 + 48, 2n ** 60n, true)),
    /does not fit/,
  ],
  'a compressed entry': [zipSync({ 'x/data.pkl': new Uint8Array(1000) }, { level: 9 }), /compressed/],
  'no pickle': [zipSync({ 'x/version': Buffer.from('3') }, { level: 0 }), /0 files FOLDER\/data\.pkl/],
  'two pickles': [torchFile(dictionary(tensor()), { ...storages, 'y/data.pkl': new Uint8Array(1) }), /2 files/],
  'a third byte order': [
    torchFile(dictionary(tensor()), { ...storages, 'x/byteorder': Buffer.from('middle') }),
    /byte order/,
  ],
  'code: os.system': [torchFile(bytesOf('\x80\x02cos\nsystem\n(', text('id'), 'tR.')), /"os\.system"/],
  'code: builtins.eval': [torchFile(dictionary(bytesOf('cbuiltins\neval\n(', text('1'), 'tR'))), /"builtins\.eval"/],
  'code by INST': [torchFile(bytesOf('\x80\x02(', text('id'), 'ios\nsystem\n.')), /INST/],
  'code by STACK_GLOBAL': [torchFile(bytesOf('\x80\x02', text('os'), text('system'), '\x93.')), /STACK_GLOBAL/],
  'code by NEWOBJ': [torchFile(bytesOf('\x80\x02ccollections\nOrderedDict\n)\x81.')), /NEWOBJ/],
  'an extension': [torchFile(bytesOf('\x80\x02\x82\x01.')), /EXT1/],
  'protocol 4': [torchFile(bytesOf('\x80\x04}.')), /protocol 4, expected 2/],
  'a call of a class of storages': [torchFile(bytesOf('\x80\x02ctorch\nFloatStorage\n)R.')), /cannot be called/],
  'attributes of a tensor': [torchFile(dictionary(bytesOf(tensor(), '}b'))), /attributes of something else/],
  'a storage of an unknown type': [torchFile(dictionary(tensor({ type: 'UntypedStorage' }))), /torch\.UntypedStorage/],
  'a storage that is not there': [torchFile(dictionary(tensor({ key: '7' }))), /storage "7" is not in/],
  'a storage outside its folder': [torchFile(dictionary(tensor({ key: '../version' }))), /is not in its archive/],
  'a storage said to be larger': [torchFile(dictionary(tensor({ elements: 1e15 }))), /16 bytes, expected 4000000/],
  'a storage of two types': [
    torchFile(bytesOf('\x80\x02}(', text('a'), tensor(), text('b'), tensor({ type: 'IntStorage' }), 'u.')),
    /two types/,
  ],
  'a tensor beyond its storage': [torchFile(dictionary(tensor({ shape: [5] }))), /does not fit in its storage/],
  'a start beyond the storage': [torchFile(dictionary(tensor({ offset: 1 }))), /does not fit in its storage/],
  'strides beyond the storage': [torchFile(dictionary(tensor({ shape: [2], stride: [4] }))), /does not fit/],
  'a value repeated a billion times': [torchFile(dictionary(tensor({ shape: [1e9], stride: [0] }))), /does not fit/],
  'a size whose product is not exact': [
    torchFile(dictionary(tensor({ shape: [2 ** 40, 2 ** 40], stride: [0, 0] }))),
    /does not fit/,
  ],
  'sizes whose product is infinite, but for a zero': [
    torchFile(
      dictionary(tensor({ shape: [...new Array<number>(30).fill(2 ** 50), 0], stride: new Array(31).fill(0) })),
    ),
    /does not fit/,
  ],
  'a negative size': [torchFile(dictionary(tensor({ shape: [-4] }))), /not negative/],
  'a negative stride': [torchFile(dictionary(tensor({ stride: [-1] }))), /not negative/],
  'a negative start': [torchFile(dictionary(tensor({ offset: -1 }))), /not negative/],
  'more strides than sizes': [torchFile(dictionary(tensor({ stride: [1, 1] }))), /not negative/],
  'a hundred dimensions': [
    torchFile(dictionary(tensor({ shape: new Array(100).fill(1), stride: new Array(100).fill(1) }))),
    /not negative/,
  ],
  'more arguments, which could conjugate': [torchFile(dictionary(tensor({ more: '}' }))), /other arguments/],
  'a number of 200 bytes': [torchFile(dictionary(bytesOf('\x8a\xc8', new Uint8Array(200)))), /of 200 bytes/],
  'a text longer than the file': [torchFile(dictionary(text('a', 0xffffffff))), /ends in the middle/],
  'a text that is not UTF-8': [torchFile(dictionary(bytesOf('X\x01\x00\x00\x00\xff'))), /not UTF-8/],
  'a name without an end': [torchFile(bytesOf('\x80\x02c', 'x'.repeat(1000))), /no end/],
  'a name twice': [torchFile(bytesOf('\x80\x02}(', text('a'), tensor(), text('a'), tensor(), 'u.')), /there twice/],
  'a name that is a number': [torchFile(dictionary(tensor(), 'K\x01')), /expected the name/],
  'a list': [torchFile(bytesOf('\x80\x02](', tensor(), 'e.')), /no dictionary/],
  'deep nesting': [torchFile(bytesOf('\x80\x02', '('.repeat(100_000), '.')), /too deeply/],
  'a million values': [torchFile(bytesOf('\x80\x02', '}'.repeat(1_000_000), '.')), /too deeply/],
  'tuples in tuples': [torchFile(bytesOf('\x80\x02)', '\x85q\x00'.repeat(400_000), '.')), /no dictionary/],
  'dictionaries by the thousand': [
    torchFile(bytesOf('\x80\x02', `(${'}'.repeat(5000)}t`.repeat(9000), 't.')),
    /too many values/,
  ],
  'a dictionary in itself': [torchFile(bytesOf('\x80\x02}q\x00', text('a'), 'h\x00s.')), /"a" is no tensor/],
  'a million memories': [torchFile(bytesOf('\x80\x02}', memories(600_000), '.')), /too many values/],
  'a memory that is not there': [torchFile(bytesOf('\x80\x02h\x05.')), /used before/],
  'too few values': [torchFile(bytesOf('\x80\x02s.')), /is missing/],
  'values below a mark': [torchFile(bytesOf('\x80\x02}', text('a'), '(', tensor(), 's.')), /is missing/],
  'no mark': [torchFile(bytesOf('\x80\x02}u.')), /mark is missing/],
  'two values at the end': [torchFile(bytesOf('\x80\x02}}.')), /more than one/],
  'no end': [torchFile(bytesOf('\x80\x02}')), /ends in the middle/],
  'bytes behind the pickle': [torchFile(bytesOf(dictionary(tensor()), 'x')), /1 bytes follow/],
}

for (const [what, [bytes, message]] of Object.entries(hostile)) {
  test(`refuses ${what}`, (t) => {
    const started = performance.now()
    t.throws(() => decodeTorch(bytes, 'x.bin'), { code: 'ERR_TORCH_FILE', message })
    t.true(performance.now() - started < 2000)
  })
}

test('a file that is not there', async (t) => {
  await t.throwsAsync(readTorchFile('/nowhere/x.bin'), { code: 'ERR_TORCH_FILE', message: /cannot be read/ })
})

const readAll = (bytes: Uint8Array) => [...decodeTorch(bytes, 'x.bin').values()].map((each) => each.floats())

test('damaged torch files are read or refused, never more', async (t) => {
  const samples = [zip, plain, golden('state_dict')]
  const { read, refused } = await fuzz(t, { samples, codes: ['ERR_TORCH_FILE'], read: readAll })
  t.true(read > 0 && refused > 0)
})

test('damaged pickles in files with fitting checksums', async (t) => {
  const files = Object.fromEntries(upTo(9).map((key) => [`x/data/${key}`, new Uint8Array(48)]))
  const more = bytesOf('\x80\x02}(', text('a'), tensor(), text('b'), tensor({ shape: [2, 2], stride: [2, 1] }), 'u.')
  const { read, refused } = await fuzz(t, {
    samples: [dictionary(tensor()), more],
    codes: ['ERR_TORCH_FILE'],
    read: readAll,
    wrap: (pickle) => torchFile(pickle, { ...files, ...storages }),
  })
  t.true(read > 0 && refused > 0)
})
