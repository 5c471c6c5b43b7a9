import { readdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { OnnxImportError } from '../errors.js'
import { hint } from '../options.js'
import { weightFiles } from './convert.js'
import { kindOf } from './kind.js'
import { knownNames } from './names.js'

/** The files of a backbone, as absolute paths. */
export interface BackboneFiles {
  /** What it is called: the name of its folder. */
  readonly name: string
  readonly model: string
  /** config.json; absent where there is none. */
  readonly config?: string
  /** tokenizer.json; absent where there is none: only text needs it. */
  readonly tokenizer?: string
}

/** Where a folder, or a repository of the hub, may keep its model, in order; with slashes. */
export const modelPaths = ['model.onnx', 'onnx/model.onnx']

/**
 * Finds a backbone: a folder with `model.onnx` or `onnx/model.onnx`, or an `.onnx` file; `config.json` and
 * `tokenizer.json` are taken from beside the model or from the folder above its `onnx/`.
 * @throws OnnxImportError ERR_ONNX_MISSING saying what was looked for
 */
export async function resolveBackbone(path: string): Promise<BackboneFiles> {
  const given = resolve(path)
  const kind = await kindOf(given)
  if (kind === 'file') return describeFiles(given)
  if (kind === undefined) {
    throw missing(
      `${path}: no such folder or file; a backbone is a folder with ${modelPaths.join(' or ')}, an .onnx file, ` +
        `or a name of the hub: owner/name, or all-MiniLM-L6-v2${hint(path, knownNames)}`,
      path,
      [given],
    )
  }
  const model = await findInFolder(given)
  if (model !== undefined) return describeFiles(model)
  const others = await onnxFiles(given)
  const named = others.length > 0 ? `; it has ${others.join(', ')}: name the one that is meant` : ''
  const weights = await findWeights(given)
  const made = weights ? `; it has ${weights}: "onnx-adapters fetch ${path}" makes a model of it` : ''
  const looked = modelPaths.map((part) => join(given, part))
  throw missing(`${path}: the folder has neither ${modelPaths.join(' nor ')}${named || made}`, path, looked)
}

/** The model of a folder, if it has one. */
export async function findInFolder(folder: string): Promise<string | undefined> {
  for (const part of modelPaths) if ((await kindOf(join(folder, part))) === 'file') return join(folder, part)
  return undefined
}

/** The name of the file with a folder's weights, if it has one. */
export async function findWeights(folder: string): Promise<string | undefined> {
  for (const name of weightFiles) if ((await kindOf(join(folder, name))) === 'file') return name
  return undefined
}

function missing(message: string, path: string, looked: readonly string[]): OnnxImportError {
  return new OnnxImportError('ERR_ONNX_MISSING', message, { file: path, looked, expected: modelPaths })
}

async function describeFiles(model: string): Promise<BackboneFiles> {
  const beside = dirname(model)
  const above = basename(beside) === 'onnx' ? [dirname(beside)] : []
  const find = async (name: string): Promise<string | undefined> => {
    for (const folder of [beside, ...above])
      if ((await kindOf(join(folder, name))) === 'file') return join(folder, name)
    return undefined
  }
  return {
    name: basename(above[0] ?? beside),
    model,
    config: await find('config.json'),
    tokenizer: await find('tokenizer.json'),
  }
}

/** Names of .onnx files in the folder and in its `onnx/`. */
async function onnxFiles(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const part of ['', 'onnx']) {
    const names = await readdir(join(folder, part)).catch(() => [])
    found.push(...names.filter((name) => name.endsWith('.onnx')).map((name) => join(part, name)))
  }
  return found.sort()
}
