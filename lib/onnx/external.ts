import { open, realpath } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { OnnxImportError } from '../errors.js'
import { readRange } from './bytes.js'
import type { ParseOptions } from './read.js'
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './schema.js'
import { byteLength } from './tensor.js'

/**
 * Brings in the tensors that lie in other files: each file is opened once, each tensor read as one range into memory
 * of its own, so files of any size work. Afterwards the tensors hold `rawData` like all others.
 * @throws OnnxImportError ERR_ONNX_EXTERNAL for a file that is missing, too short, or outside the model's folder
 */
export async function loadExternalData(model: OnnxModel, options: ParseOptions): Promise<void> {
  const tensors = allTensors(model).filter((tensor) => tensor.dataLocation === 1)
  if (!tensors.length) return
  const files = new Map<string, { handle: FileHandle; size: number }>()
  try {
    for (const tensor of tensors) await loadTensor(tensor, options, files)
  } finally {
    for (const { handle } of files.values()) await handle.close()
  }
}

async function loadTensor(
  tensor: OnnxTensor,
  options: ParseOptions,
  files: Map<string, { handle: FileHandle; size: number }>,
): Promise<void> {
  const entries = new Map(tensor.externalData.map((entry) => [entry.key, entry.value ?? '']))
  const location = entries.get('location') ?? ''
  const fail = (reason: string, expected: string, cause?: unknown) => {
    const message = `Tensor "${tensor.name ?? ''}" has its data in "${location}", but ${reason}. Expected ${expected}.`
    return new OnnxImportError(
      'ERR_ONNX_EXTERNAL',
      message,
      { tensor: tensor.name, file: location, expected },
      { cause },
    )
  }
  const needed = byteLength(tensor)
  const offset = wholeNumber(entries.get('offset') ?? '0')
  const length = wholeNumber(entries.get('length') ?? String(needed))
  if (offset === undefined || length === undefined)
    throw fail('its offset or length is not a whole number', 'whole numbers')
  if (length !== needed)
    throw fail(`${length} bytes are given`, `${needed} bytes for its shape [${tensor.dims.join(', ')}]`)
  let file = files.get(location)
  if (!file) {
    file = await openInside(location, options, fail)
    files.set(location, file)
  }
  if (offset + length > file.size)
    throw fail(
      `the file ends at byte ${file.size}`,
      `bytes ${offset} to ${offset + length}: the download may be incomplete`,
    )
  const bytes = await readRange(file.handle, offset, length)
  if (bytes.length !== length) throw fail('the file became shorter while it was read', `${length} bytes`)
  tensor.rawData = bytes
  tensor.externalData = []
  delete tensor.dataLocation
}

function wholeNumber(text: string): number | undefined {
  const number = Number(text)
  return /^\d+$/.test(text) && Number.isSafeInteger(number) ? number : undefined
}

type Fail = (reason: string, expected: string, cause?: unknown) => OnnxImportError

async function openInside(
  location: string,
  options: ParseOptions,
  fail: Fail,
): Promise<{ handle: FileHandle; size: number }> {
  const expected = "a file in the model's folder"
  if (options.directory === undefined)
    throw fail('the model was given as bytes, without a folder', 'a model file on disk')
  if (!location || location.includes('\0') || isAbsolute(location)) throw fail('this is not a relative path', expected)
  const path = resolve(options.directory, location)
  if (!isInside(resolve(options.directory), path)) throw fail('this leads out of the folder', expected)
  const real = await realpath(path).catch((cause) => {
    throw fail('there is no such file', `${expected}: fetch it too`, cause)
  })
  const roots = [await realpath(options.directory), ...(options.realDirectories ?? [])]
  if (!roots.some((root) => isInside(root, real))) throw fail('this is a link that leads out of the folder', expected)
  const handle = await open(real, 'r').catch((cause) => {
    throw fail('it cannot be opened', 'a readable file', cause)
  })
  const status = await handle.stat()
  if (!status.isFile()) {
    await handle.close()
    throw fail('it is not a file', expected)
  }
  return { handle, size: status.size }
}

function isInside(directory: string, path: string): boolean {
  const way = relative(directory, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** Files that hold tensors of a model whose external data is not loaded, as paths from its folder, sorted. */
export function externalLocations(model: OnnxModel): string[] {
  const locations = new Set<string>()
  for (const tensor of allTensors(model)) {
    const location = tensor.externalData.find(({ key }) => key === 'location')?.value
    if (tensor.dataLocation === 1 && location !== undefined) locations.add(location)
  }
  return [...locations].sort()
}

/** Every tensor of a model: initializers and attributes, of subgraphs and functions too. */
export function allTensors(model: OnnxModel): OnnxTensor[] {
  const found: OnnxTensor[] = []
  const visitNodes = (nodes: readonly OnnxNode[]) => {
    for (const node of nodes) {
      for (const attribute of node.attribute) {
        if (attribute.t) found.push(attribute.t)
        if (attribute.g) visitGraph(attribute.g)
      }
    }
  }
  const visitGraph = (graph: OnnxGraph) => {
    found.push(...graph.initializer)
    visitNodes(graph.node)
  }
  if (model.graph) visitGraph(model.graph)
  for (const definition of model.functions) visitNodes(definition.node)
  return found
}
