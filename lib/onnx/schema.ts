/**
 * The part of the ONNX file format that this package uses, as tables: field number -> name and kind. Reader and
 * writer both walk these tables; a field that is not in them is kept as raw bytes, so a rewritten model loses nothing.
 *
 * Numbers are those of onnx.proto (IR version 3 to 13); the wire rules are protobuf's.
 */

/** A 64-bit integer of the file: a number where that is exact, else a bigint. */
export type Int64 = number | bigint

interface Message {
  /** Fields that are not in the tables: whole records (tag and payload), written back as they were. */
  unknown?: Uint8Array[]
}

export interface OnnxModel extends Message {
  irVersion?: Int64
  producerName?: string
  producerVersion?: string
  domain?: string
  modelVersion?: Int64
  docString?: string
  graph?: OnnxGraph
  opsetImport: OnnxOpset[]
  metadataProps: OnnxEntry[]
  functions: OnnxFunction[]
}

export interface OnnxOpset extends Message {
  domain?: string
  version?: Int64
}

export interface OnnxEntry extends Message {
  key?: string
  value?: string
}

export interface OnnxGraph extends Message {
  node: OnnxNode[]
  name?: string
  initializer: OnnxTensor[]
  docString?: string
  input: OnnxValueInfo[]
  output: OnnxValueInfo[]
  valueInfo: OnnxValueInfo[]
}

export interface OnnxFunction extends Message {
  name?: string
  input: string[]
  output: string[]
  /** Names of attributes without a default. */
  attribute: string[]
  node: OnnxNode[]
  opsetImport: OnnxOpset[]
  domain?: string
  /** Attributes with a default. */
  attributeProto: OnnxAttribute[]
  overload?: string
}

export interface OnnxNode extends Message {
  input: string[]
  output: string[]
  name?: string
  opType?: string
  attribute: OnnxAttribute[]
  domain?: string
  overload?: string
}

export interface OnnxAttribute extends Message {
  name?: string
  f?: number
  i?: Int64
  s?: Uint8Array
  t?: OnnxTensor
  g?: OnnxGraph
  floats: number[]
  ints: Int64[]
  strings: Uint8Array[]
  type?: number
  /** In the body of a function: the attribute of the caller that stands here. */
  refAttrName?: string
}

export interface OnnxTensor extends Message {
  dims: Int64[]
  dataType?: number
  floatData: number[] | Float32Array
  int32Data: number[]
  stringData: Uint8Array[]
  int64Data: Int64[]
  name?: string
  rawData?: Uint8Array
  /** The first elements, where the content is read from the file only when it is asked for. */
  start?: Uint8Array
  doubleData: number[] | Float64Array
  uint64Data: Int64[]
  externalData: OnnxEntry[]
  /** 1 where the bytes lie in another file. */
  dataLocation?: number
}

export interface OnnxValueInfo extends Message {
  name?: string
  type?: OnnxType
}

export interface OnnxType extends Message {
  tensorType?: OnnxTensorType
}

export interface OnnxTensorType extends Message {
  elemType?: number
  shape?: OnnxShape
}

export interface OnnxShape extends Message {
  dim: OnnxDim[]
}

export interface OnnxDim extends Message {
  dimValue?: Int64
  dimParam?: string
}

export type Scalar = 'int32' | 'int64' | 'uint64' | 'float' | 'double' | 'string' | 'bytes'

export interface FieldSpec {
  readonly number: number
  readonly name: string
  readonly kind: Scalar | MessageSpec
  readonly repeated: boolean
  /** Written as one packed record; read in either form. */
  readonly packed: boolean
}

export class MessageSpec {
  readonly byNumber = new Map<number, FieldSpec>()
  readonly repeated: string[] = []

  constructor(readonly name: string) {}

  one(number: number, name: string, kind: Scalar | MessageSpec): this {
    this.byNumber.set(number, { number, name, kind, repeated: false, packed: false })
    return this
  }

  many(number: number, name: string, kind: Scalar | MessageSpec, packed = false): this {
    this.byNumber.set(number, { number, name, kind, repeated: true, packed })
    this.repeated.push(name)
    return this
  }
}

const entry = new MessageSpec('StringStringEntry').one(1, 'key', 'string').one(2, 'value', 'string')
const opset = new MessageSpec('OperatorSetId').one(1, 'domain', 'string').one(2, 'version', 'int64')

export const tensorSpec = new MessageSpec('Tensor')
  .many(1, 'dims', 'int64')
  .one(2, 'dataType', 'int32')
  .many(4, 'floatData', 'float', true)
  .many(5, 'int32Data', 'int32', true)
  .many(6, 'stringData', 'bytes')
  .many(7, 'int64Data', 'int64', true)
  .one(8, 'name', 'string')
  .one(9, 'rawData', 'bytes')
  .many(10, 'doubleData', 'double', true)
  .many(11, 'uint64Data', 'uint64', true)
  .many(13, 'externalData', entry)
  .one(14, 'dataLocation', 'int32')

const dim = new MessageSpec('Dimension').one(1, 'dimValue', 'int64').one(2, 'dimParam', 'string')
const shape = new MessageSpec('TensorShape').many(1, 'dim', dim)
const tensorType = new MessageSpec('TensorType').one(1, 'elemType', 'int32').one(2, 'shape', shape)
const type = new MessageSpec('Type').one(1, 'tensorType', tensorType)
const valueInfo = new MessageSpec('ValueInfo').one(1, 'name', 'string').one(2, 'type', type)

const graph = new MessageSpec('Graph')
const attribute = new MessageSpec('Attribute')
  .one(1, 'name', 'string')
  .one(2, 'f', 'float')
  .one(3, 'i', 'int64')
  .one(4, 's', 'bytes')
  .one(5, 't', tensorSpec)
  .one(6, 'g', graph)
  .many(7, 'floats', 'float')
  .many(8, 'ints', 'int64')
  .many(9, 'strings', 'bytes')
  .one(20, 'type', 'int32')
  .one(21, 'refAttrName', 'string')

const node = new MessageSpec('Node')
  .many(1, 'input', 'string')
  .many(2, 'output', 'string')
  .one(3, 'name', 'string')
  .one(4, 'opType', 'string')
  .many(5, 'attribute', attribute)
  .one(7, 'domain', 'string')
  .one(8, 'overload', 'string')

graph
  .many(1, 'node', node)
  .one(2, 'name', 'string')
  .many(5, 'initializer', tensorSpec)
  .one(10, 'docString', 'string')
  .many(11, 'input', valueInfo)
  .many(12, 'output', valueInfo)
  .many(13, 'valueInfo', valueInfo)

const localFunction = new MessageSpec('Function')
  .one(1, 'name', 'string')
  .many(4, 'input', 'string')
  .many(5, 'output', 'string')
  .many(6, 'attribute', 'string')
  .many(7, 'node', node)
  .many(9, 'opsetImport', opset)
  .one(10, 'domain', 'string')
  .many(11, 'attributeProto', attribute)
  .one(13, 'overload', 'string')

export const modelSpec = new MessageSpec('Model')
  .one(1, 'irVersion', 'int64')
  .one(2, 'producerName', 'string')
  .one(3, 'producerVersion', 'string')
  .one(4, 'domain', 'string')
  .one(5, 'modelVersion', 'int64')
  .one(6, 'docString', 'string')
  .one(7, 'graph', graph)
  .many(8, 'opsetImport', opset)
  .many(14, 'metadataProps', entry)
  .many(25, 'functions', localFunction)

/** Element types of tensors, by the numbers of the file format. */
export const DataType = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const

/** Values of an attribute's `type`. */
export const AttributeType = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const
