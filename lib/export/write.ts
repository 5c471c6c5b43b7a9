/** Writes an edited model: copies of records of the old file, and new ones. */

import { open, realpath, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ExportError, OptionError } from '../errors.js'
import { writeAt, writeAtomicWith } from '../formats/atomic.js'
import { fieldNumber, graphNumber, graphSpec, type FileRecord } from '../onnx/records.js'
import { type MessageSpec, modelSpec, type OnnxTensor, type OnnxValueInfo } from '../onnx/schema.js'
import { encode, encodeTag, encodeTensorHead, writeContent, type TensorSource } from '../onnx/stream.js'
import { maxBytes } from '../onnx/write.js'
import { copyRange, findExternal, withStage, writeBeside } from './data_files.js'
import { nodeOf, type ModelEdit } from './edit.js'
import type { ExportPlace } from './target.js'

/** Something that the new file consists of: a stretch of the old one, bytes, or a tensor. */
type Piece =
  | { readonly kind: 'copy'; readonly start: number; readonly end: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'tensor'; readonly head: Uint8Array; readonly tensor: TensorSource }

/**
 * @param check looks at the model before it is at its place
 * @returns the file, and those with external data beside it
 * @throws ExportError ERR_EXPORT_UNSUPPORTED above 2 GiB; RunError ERR_RUN_WRITE
 */
export async function writeEdited(
  edit: ModelEdit,
  { output, overwrite }: Pick<ExportPlace, 'output' | 'overwrite'>,
  check?: (file: string) => Promise<void>,
): Promise<string[]> {
  await refuseSource(edit, output)
  const { before, after, file } = edit.records
  const inGraph = graphPieces(edit)
  const length = inGraph.reduce((sum, piece) => sum + sizeOf(piece), 0)
  const metadata = [...edit.metadata].map(([key, value]) => record(modelSpec, 'metadataProps', { key, value }))
  const outside = [...before, ...after].filter((each) => !isFunction(each) || !edit.model.functions.length)
  const split = outside.filter((each) => before.includes(each)).map(copyOf)
  const pieces: Piece[] = [
    ...split,
    { kind: 'bytes', bytes: encodeTag(graphNumber, length) },
    ...inGraph,
    ...outside.filter((each) => after.includes(each)).map(copyOf),
    ...metadata,
  ]
  const total = pieces.reduce((sum, piece) => sum + sizeOf(piece), 0)
  if (total > maxBytes) {
    const message = `${output}: the model would have ${total} bytes, and one file can have 2 GiB: use a backbone with external data`
    throw new ExportError('ERR_EXPORT_UNSUPPORTED', message, { file: output, bytes: total, expected: maxBytes })
  }
  const beside = await findExternal(edit, output, overwrite)
  const source = await open(file, 'r')
  const write = (handle: FileHandle) => writePieces(handle, source, merge(pieces))
  try {
    if (beside.length === 0) await writeAtomicWith(output, write, check)
    else await withStage(output, (stage) => writeBeside(stage, beside, output, write, check))
  } finally {
    await source.close()
  }
  return [output, ...beside.map(({ location }) => join(dirname(output), location))]
}

/** The backbone stays as it is, whatever may be replaced. @throws OptionError ERR_OPTION */
async function refuseSource({ records }: ModelEdit, output: string): Promise<void> {
  const here = await realpath(output).catch(() => undefined)
  if (here === undefined || here !== (await realpath(records.file))) return
  const message = `option "output": ${output} is the backbone itself, which other runs need: choose another file`
  throw new OptionError('ERR_OPTION', message, { option: 'output', got: output, expected: 'another file' })
}

const functionNumber = [...modelSpec.byNumber.values()].find(({ name }) => name === 'functions')!.number
const isFunction = ({ field }: FileRecord) => field === functionNumber

function copyOf({ start, end }: FileRecord): Piece {
  return { kind: 'copy', start, end }
}

/** A field of a message by itself. */
function record(spec: MessageSpec, name: string, value: object): Piece {
  const field = [...spec.byNumber.values()].find((each) => each.name === name)!
  const content = encode(field.kind as MessageSpec, value)
  return { kind: 'bytes', bytes: Buffer.concat([encodeTag(field.number, content.length), content]) }
}

/** The records of the graph in their order: nodes where the first one was, and so on. */
function graphPieces(edit: ModelEdit): Piece[] {
  const { nodes, reads } = edit.liveNodes()
  const tensors = edit.tensors.filter(({ name }) => reads.has(name))
  const made: Record<number, () => Piece[]> = {
    [fieldNumber('node')]: () =>
      nodes.map((each) =>
        'ahead' in each && each.record ? copyOf(each.record) : record(graphSpec, 'node', nodeOf(each)),
      ),
    [fieldNumber('output')]: () => edit.outputs.map((info) => record(graphSpec, 'output', info)),
  }
  const gone = new Set(edit.graph.node.flatMap(({ output }) => output))
  for (const each of nodes) for (const output of nodeOf(each).output) gone.delete(output)
  for (const { name } of edit.outputs) gone.add(name ?? '')
  const forsaken = edit.graph.initializer.filter((tensor) => edit.isForsaken(tensor, reads))
  // Files may list their initializers as inputs too; without its initializer such an input would have to be fed.
  const unfed = new Set(
    forsaken.map(({ name }) => name ?? '').filter((name) => !edit.isReplaced(name) || !reads.has(name)),
  )
  const listed = new Set(edit.graph.input.map(({ name }) => name ?? ''))
  const isKept = ({ field, message }: FileRecord) => {
    if (field === fieldNumber('input')) return !unfed.has((message as OnnxValueInfo).name ?? '')
    if (field === fieldNumber('initializer')) return !edit.isForsaken(message as OnnxTensor, reads)
    if (field === fieldNumber('valueInfo')) return !gone.has((message as OnnxValueInfo).name ?? '')
    return true
  }
  const pieces: Piece[] = []
  for (const each of edit.records.graph) {
    const make = made[each.field]
    if (make) pieces.push(...make())
    else if (isKept(each)) pieces.push(copyOf(each))
    if (make) made[each.field] = () => []
  }
  pieces.push(...edit.inputs.map((info) => record(graphSpec, 'input', info)))
  for (const tensor of tensors) {
    pieces.push({ kind: 'tensor', head: encodeTensorHead(tensor), tensor })
    // Before IR version 4 every initializer is an input too.
    if (Number(edit.model.irVersion ?? 4) < 4 && !listed.has(tensor.name))
      pieces.push(record(graphSpec, 'input', tensorInfo(tensor)))
  }
  return pieces
}

/** The declaration of an input or output of a known shape; a text is a size that varies. */
export function valueInfo(name: string, elemType: number, dims: readonly (number | string)[]): OnnxValueInfo {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }))
  return { name, type: { tensorType: { elemType, shape: { dim } } } }
}

function tensorInfo({ name, dataType, dims }: TensorSource): OnnxValueInfo {
  return valueInfo(name, dataType, dims)
}

function sizeOf(piece: Piece): number {
  switch (piece.kind) {
    case 'copy':
      return piece.end - piece.start
    case 'bytes':
      return piece.bytes.length
    case 'tensor':
      return piece.head.length + piece.tensor.bytes
    default:
      return piece satisfies never
  }
}

/** Neighbours of the old file that are neighbours of the new one are one stretch; so are bytes. */
function merge(pieces: readonly Piece[]): Piece[] {
  const merged: Piece[] = []
  for (const piece of pieces) {
    const last = merged.at(-1)
    if (piece.kind === 'copy' && last?.kind === 'copy' && last.end === piece.start)
      merged[merged.length - 1] = { ...last, end: piece.end }
    else merged.push(piece)
  }
  return merged
}

async function writePieces(handle: FileHandle, source: FileHandle, pieces: readonly Piece[]): Promise<void> {
  let at = 0
  for (const piece of pieces) {
    if (piece.kind === 'copy') at = await copyRange(handle, source, piece.start, piece.end, at)
    else if (piece.kind === 'bytes') {
      await writeAt(handle, piece.bytes, at)
      at += piece.bytes.length
    } else {
      await writeAt(handle, piece.head, at)
      at = await writeContent(handle, piece.tensor, at + piece.head.length)
    }
  }
}
