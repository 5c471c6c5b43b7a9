/**
 * A reader of pickles that runs nothing: a pickle is a program, and of its opcodes and of what they may call only those
 * are known here that make up dictionaries of tensors. Everything else is refused by its name.
 *
 * Values are never copied and never walked into, so that neither references in circles nor deep nesting do harm; stack
 * and memo are limited.
 */

import { Storage, storageTypes, TorchTensor, type StorageType } from './storage.js'
import type { Wrong } from './wrong.js'

export type Dictionary = Map<PickleValue, PickleValue>
export type PickleValue =
  null | boolean | number | bigint | string | readonly PickleValue[] | Dictionary | Callable | Storage | TorchTensor

/** What a pickle may name: the class of a storage, or a function. */
class Callable {
  constructor(
    readonly kind: 'dictionary' | 'tensor' | 'parameter' | 'storage',
    readonly storage?: StorageType,
  ) {}
}

const callables = new Map<string, Callable>([
  ['collections.OrderedDict', new Callable('dictionary')],
  ['torch._utils._rebuild_tensor_v2', new Callable('tensor')],
  ['torch._utils._rebuild_parameter', new Callable('parameter')],
  ...Object.keys(storageTypes).map((type): [string, Callable] => [
    `torch.${type}`,
    new Callable('storage', type as StorageType),
  ]),
])

/** A thousand pairs are pushed at once; files of honest writers stay far below. */
const deepestStack = 10_000
const largestMemo = 500_000
/** Of all pickles of a file, each value takes memory, however it is nested: a tensor has about twenty. */
const mostValues = 500_000
/** Honest writers need more than three bytes for each. */
const mostValuesOf = (bytes: number) => Math.min(1000 + bytes / 2, mostValues)
const longestName = 256
const mostDimensions = 64

/** Of opcodes that are refused, for messages. */
const names: Readonly<Record<string, string>> = {
  i: 'INST',
  o: 'OBJ',
  '\x81': 'NEWOBJ',
  '\x92': 'NEWOBJ_EX',
  '\x93': 'STACK_GLOBAL',
  '\x82': 'EXT1',
  '\x83': 'EXT2',
  '\x84': 'EXT4',
  G: 'BINFLOAT',
  U: 'SHORT_BINSTRING',
  T: 'BINSTRING',
  B: 'BINBYTES',
  C: 'SHORT_BINBYTES',
  '2': 'DUP',
  '0': 'POP',
  '1': 'POP_MARK',
}

/** Gives the storage that a persistent id stands for: the same object for the same key. */
export type FindStorage = (storage: Storage) => Storage

export class PickleReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #wrong: Wrong
  readonly #findStorage: FindStorage
  #stack: PickleValue[] = []
  #marks: number[] = []
  #memo = new Map<number, PickleValue>()
  #values = 0
  /** The byte that is read next. */
  at = 0

  constructor(bytes: Uint8Array, findStorage: FindStorage, wrong: Wrong) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#findStorage = findStorage
    this.#wrong = (what, details) => wrong(`byte ${this.at} of its pickle: ${what}`, details)
  }

  /** The value of one pickle; the next may follow. */
  read(): PickleValue {
    this.#stack = []
    this.#marks = []
    this.#memo = new Map()
    for (;;) {
      const opcode = String.fromCharCode(this.#bytes[this.#take(1)]!)
      if (opcode === '.') return this.#finish()
      this.#run(opcode)
    }
  }

  #finish(): PickleValue {
    const value = this.#pop()
    if (this.#stack.length > 0) throw this.#wrong('more than one value is left')
    return value
  }

  #run(opcode: string): void {
    switch (opcode) {
      case '\x80':
        return this.#checkProtocol(this.#bytes[this.#take(1)]!)
      case '(':
        if (this.#marks.length >= deepestStack) throw this.#wrong('nested too deeply')
        this.#marks.push(this.#stack.length)
        return
      case 'N':
        return this.#push(null)
      case '\x88':
        return this.#push(true)
      case '\x89':
        return this.#push(false)
      case 'K':
        return this.#push(this.#view.getUint8(this.#take(1)))
      case 'M':
        return this.#push(this.#view.getUint16(this.#take(2), true))
      case 'J':
        return this.#push(this.#view.getInt32(this.#take(4), true))
      case '\x8a':
        return this.#push(this.#readLong())
      case 'X':
        return this.#push(this.#readText(this.#view.getUint32(this.#take(4), true)))
      case '}':
        return this.#push(new Map())
      case ')':
      case ']':
        return this.#push([])
      case 't':
        return this.#push(this.#popMark())
      case '\x85':
      case '\x86':
      case '\x87':
        return this.#push(this.#popMany(opcode.charCodeAt(0) - 0x84))
      case 'a':
        return this.#append([this.#pop()])
      case 'e':
        return this.#append(this.#popMark())
      case 's':
        return this.#set(this.#popMany(2))
      case 'u':
        return this.#set(this.#popMark())
      case 'q':
        return this.#remember(this.#view.getUint8(this.#take(1)))
      case 'r':
        return this.#remember(this.#view.getUint32(this.#take(4), true))
      case 'h':
        return this.#recall(this.#view.getUint8(this.#take(1)))
      case 'j':
        return this.#recall(this.#view.getUint32(this.#take(4), true))
      case 'c':
        return this.#push(this.#findCallable())
      case 'Q':
        return this.#push(this.#findPersistent(this.#pop()))
      case 'R':
        return this.#push(this.#call(this.#popMany(2)))
      case 'b':
        return this.#build()
    }
    const code = `0x${opcode.charCodeAt(0).toString(16).padStart(2, '0')}`
    const name = Object.hasOwn(names, opcode) ? `${names[opcode]} (${code})` : code
    throw this.#wrong(`opcode ${name} is no part of a dictionary of tensors, and is not run`, { opcode: name })
  }

  /** The place of the next bytes. */
  #take(count: number): number {
    const { at } = this
    if (count > this.#bytes.length - at) throw this.#wrong('it ends in the middle')
    this.at = at + count
    return at
  }

  #push(value: PickleValue): void {
    if (this.#stack.length >= deepestStack) throw this.#wrong('nested too deeply')
    if (++this.#values > mostValuesOf(this.#bytes.length)) throw this.#wrong('it has too many values')
    this.#stack.push(value)
  }

  #pop(): PickleValue {
    return this.#popMany(1)[0]!
  }

  /** The topmost values, none of which lies below the last mark. */
  #popMany(count: number): PickleValue[] {
    const first = this.#stack.length - count
    if (first < (this.#marks.at(-1) ?? 0)) throw this.#wrong('a value is missing')
    return this.#stack.splice(first)
  }

  #popMark(): PickleValue[] {
    const mark = this.#marks.pop()
    if (mark === undefined) throw this.#wrong('a mark is missing')
    return this.#stack.splice(mark)
  }

  #top(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#wrong('a value is missing')
    return this.#stack.at(-1)!
  }

  #checkProtocol(protocol: number): void {
    if (protocol !== 2) throw this.#wrong(`protocol ${protocol}, expected 2, which torch.save uses`)
  }

  #readLong(): number | bigint {
    const length = this.#bytes[this.#take(1)]!
    if (length > 16) throw this.#wrong(`a whole number of ${length} bytes`)
    const first = this.#take(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[first + i]!)
    value = BigInt.asIntN(8 * length, value)
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }

  #readText(length: number): string {
    const first = this.#take(length)
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(this.#bytes.subarray(first, first + length))
    } catch {
      throw this.#wrong('a text is not UTF-8')
    }
  }

  #readLine(): string {
    const end = this.#bytes.subarray(this.at, this.at + longestName).indexOf(0x0a)
    if (end < 0) throw this.#wrong('a name has no end')
    const text = this.#readText(end)
    this.#take(1)
    return text
  }

  #remember(index: number): void {
    if (this.#memo.size >= largestMemo) throw this.#wrong('it has too many values')
    this.#memo.set(index, this.#top())
  }

  #recall(index: number): void {
    const value = this.#memo.get(index)
    if (value === undefined) throw this.#wrong(`value ${index} is used before it is made`)
    this.#push(value)
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#top()
    if (!Array.isArray(list)) throw this.#wrong('values are put into what is no list')
    for (const value of values) list.push(value)
  }

  #set(pairs: readonly PickleValue[]): void {
    const dictionary = this.#top()
    if (!(dictionary instanceof Map) || pairs.length % 2 !== 0)
      throw this.#wrong('a key and value are put into what is no dictionary')
    for (let i = 0; i < pairs.length; i += 2) {
      const [key, value] = [pairs[i]!, pairs[i + 1]!]
      if (dictionary.has(key)) throw this.#wrong(`the key ${describe(key)} is there twice`)
      dictionary.set(key, value)
    }
  }

  #findCallable(): Callable {
    const name = `${this.#readLine()}.${this.#readLine()}`
    const found = callables.get(name)
    if (found) return found
    throw this.#wrong(`it asks for ${JSON.stringify(name)}, which is no part of a tensor, and is not run`, {
      global: name,
    })
  }

  /** ('storage', class, key, device, elements), and in older files a view, which none has had for years. */
  #findPersistent(id: PickleValue): Storage {
    const [what, type, key, , elements, view = null] = Array.isArray(id) ? (id as PickleValue[]) : []
    const isStorage = what === 'storage' && type instanceof Callable && type.storage !== undefined
    if (!isStorage || typeof key !== 'string' || !isCount(elements) || view !== null)
      throw this.#wrong('a reference to something else than a storage of a known type')
    return this.#findStorage(new Storage(type.storage!, key, elements))
  }

  #call([callable, given]: PickleValue[]): PickleValue {
    const values = Array.isArray(given) ? (given as readonly PickleValue[]) : undefined
    if (callable instanceof Callable && values) {
      if (callable.kind === 'dictionary' && values.length === 0) return new Map()
      if (callable.kind === 'parameter' && values[0] instanceof TorchTensor) return values[0]
      if (callable.kind === 'tensor') return this.#makeTensor(values)
    }
    throw this.#wrong('a call of something that cannot be called, or not with such arguments')
  }

  #makeTensor(values: readonly PickleValue[]): TorchTensor {
    const [storage, offset, shape, stride] = values
    const fits =
      values.length === 6 && storage instanceof Storage && isCount(offset) && isCounts(shape) && isCounts(stride)
    if (!fits || shape.length !== stride.length || shape.length > mostDimensions)
      throw this.#wrong('a tensor with other arguments than storage, offset, size and strides that are not negative')
    // Later changes of the lists do not reach it.
    return TorchTensor.view(storage, offset, [...shape], [...stride], this.#wrong)
  }

  /** Attributes of a dictionary, the versions of modules, say, are read over. */
  #build(): void {
    const state = this.#pop()
    if (!(this.#top() instanceof Map && state instanceof Map))
      throw this.#wrong('attributes of something else than a dictionary')
  }
}

function isCount(value: PickleValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isCounts(value: PickleValue | undefined): value is readonly number[] {
  return Array.isArray(value) && (value as PickleValue[]).every(isCount)
}

/** A key for messages. */
export function describe(key: PickleValue): string {
  return typeof key === 'string' ? JSON.stringify(key.slice(0, 200)) : `of type ${typeof key}`
}
