import { open, realpath, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
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
  const { entries, location, fail } = placeOf(tensor)
  const needed = byteLength(tensor)
  const offset = wholeNumber(entries.get('offset') ?? '0')
  const length = wholeNumber(entries.get('length') ?? String(needed))
  if (offset === undefined || length === undefined)
    throw fail('its offset or length is not a whole number', 'whole numbers')
  if (length !== needed)
    throw fail(`${length} bytes are given`, `${needed} bytes for its shape [${tensor.dims.join(', ')}]`)
  let file = files.get(location)
  if (!file) {
    if (options.directory === undefined)
      throw fail('the model was given as bytes, without a folder', 'a model file on disk')
    file = await openFile(await realInside(location, options.directory, options.realDirectories ?? [], fail), fail)
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

/**
 * Where the data of a tensor lies, as its file says: everyone who follows it must read the same.
 * @throws OnnxImportError ERR_ONNX_EXTERNAL where it says so twice
 */
function placeOf(tensor: OnnxTensor): { entries: ReadonlyMap<string, string>; location: string; fail: Fail } {
  const entries = new Map<string, string>()
  const fail: Fail = (reason, expected, cause) => {
    const location = entries.get('location') ?? ''
    const message = `Tensor "${tensor.name ?? ''}" has its data in "${location}", but ${reason}. Expected ${expected}.`
    return new OnnxImportError(
      'ERR_ONNX_EXTERNAL',
      message,
      { tensor: tensor.name, file: location, expected },
      { cause },
    )
  }
  for (const { key = '', value = '' } of tensor.externalData) {
    if (entries.has(key)) throw fail(`it has two entries "${key}"`, 'each entry once')
    entries.set(key, value)
  }
  return { entries, location: entries.get('location') ?? '', fail }
}

const insideModel = "a file in the model's folder"

/** The path as the model's folder has it, links not followed. @throws what `fail` makes */
function pathInside(location: string, directory: string, fail: Fail): string {
  if (!location || location.includes('\0') || isAbsolute(location))
    throw fail('this is not a relative path', insideModel)
  const path = resolve(directory, location)
  if (!isInside(resolve(directory), path)) throw fail('this leads out of the folder', insideModel)
  return path
}

/** As pathInside, links followed: they may lead to the model's real folder too, and nowhere else. */
async function realInside(
  location: string,
  directory: string,
  realDirectories: readonly string[],
  fail: Fail,
): Promise<string> {
  const path = pathInside(location, directory, fail)
  const real = await realpath(path).catch((cause) => {
    throw fail('there is no such file', `${insideModel}: fetch it too`, cause)
  })
  const roots = [await realpath(directory), ...realDirectories]
  if (!roots.some((root) => isInside(root, real)))
    throw fail('this is a link that leads out of the folder', insideModel)
  return real
}

async function openFile(real: string, fail: Fail): Promise<{ handle: FileHandle; size: number }> {
  // A pipe would be waited for, for ever.
  const kind = await stat(real).catch((cause) => {
    throw fail('it cannot be opened', 'a readable file', cause)
  })
  if (!kind.isFile()) throw fail('it is not a file', insideModel)
  const handle = await open(real, 'r').catch((cause) => {
    throw fail('it cannot be opened', 'a readable file', cause)
  })
  return { handle, size: (await handle.stat()).size }
}

function isInside(directory: string, path: string): boolean {
  const way = relative(directory, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/**
 * Files that hold tensors of a model whose external data is not loaded, as paths from its folder, sorted. They need not
 * be there.
 * @throws OnnxImportError ERR_ONNX_EXTERNAL for one outside the folder
 */
export function externalLocations(model: OnnxModel): string[] {
  return [...locationsOf(model).keys()].sort()
}

/** A file with tensors of a model. */
export interface ExternalFile {
  /** As the model names it, from its folder. */
  readonly location: string
  /** Beside the model. */
  readonly path: string
  /** With links followed. */
  readonly real: string
}

/**
 * As externalLocations, of a model whose files are all there.
 * @param file of the model
 * @throws OnnxImportError ERR_ONNX_EXTERNAL for one that is missing, no file, or, links followed, outside the folder
 */
export async function externalFiles(model: OnnxModel, file: string): Promise<ExternalFile[]> {
  const found: ExternalFile[] = []
  const directory = dirname(file)
  for (const [location, fail] of locationsOf(model)) {
    const real = await realInside(location, directory, [dirname(await realpath(file))], fail)
    const isFile = await stat(real).then((status) => status.isFile())
    if (!isFile) throw fail('it is not a file', insideModel)
    found.push({ location, path: join(directory, location), real })
  }
  return found.sort((a, b) => (a.location < b.location ? -1 : 1))
}

function locationsOf(model: OnnxModel): Map<string, Fail> {
  const locations = new Map<string, Fail>()
  for (const tensor of allTensors(model)) {
    if (tensor.dataLocation !== 1) continue
    const { location, fail } = placeOf(tensor)
    pathInside(location, '.', fail)
    locations.set(location, fail)
  }
  return locations
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
