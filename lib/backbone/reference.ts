/** Asks ONNX Runtime, in a child process, for the hidden states of some rows. */

import { link, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { makeFolder } from '../formats/folder.js'
import { externalFiles } from '../onnx/external.js'
import { decodeModel } from '../onnx/read.js'
import type { OnnxModel } from '../onnx/schema.js'
import { encodeModel } from '../onnx/write.js'
import { askChild } from './child.js'
import type { ReferenceAnswer, ReferenceRequest, ReferenceRow } from './verify_child.js'

export interface ReferenceSubject {
  /** The model. */
  readonly file: string
  /** Name of the value in the file that holds the hidden states. */
  readonly value: string
  /** False where the file keeps it to itself. */
  readonly isGraphOutput: boolean
  readonly inputNames: ReferenceRequest['inputNames']
  readonly fixedShape?: ReferenceRequest['fixedShape']
}

/** @param rows without padding */
export async function referenceHidden(
  subject: ReferenceSubject,
  rows: readonly ReferenceRow[],
): Promise<ReferenceAnswer> {
  const { file, value, isGraphOutput, inputNames, fixedShape } = subject
  const rest = { output: value, inputNames, fixedShape, rows }
  if (isGraphOutput) return ask({ ...rest, model: file })
  const model = decodeModel(await readFile(file), file)
  if (!model.graph!.node.some((node) => node.output.includes(value))) {
    return { kind: 'failed', reason: `the file has no value "${value}" to compare with` }
  }
  // The file keeps its hidden states to itself: a copy gives them out.
  const folder = await mkdtemp(join(tmpdir(), 'onnx-adapters-'))
  try {
    model.graph!.output.push({ name: value })
    await linkExternalData(model, file, folder)
    const copy = join(folder, 'model.onnx')
    await writeFile(copy, encodeModel(model))
    return await ask({ ...rest, model: copy })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Puts the files with the model's tensors beside the copy: hard links, because ONNX Runtime may refuse others. */
async function linkExternalData(model: OnnxModel, file: string, to: string): Promise<void> {
  for (const { location, real } of await externalFiles(model, file)) {
    const target = join(to, location)
    await makeFolder(dirname(target))
    await link(real, target).catch(() => symlink(real, target))
  }
}

function ask(request: ReferenceRequest): Promise<ReferenceAnswer> {
  return askChild<ReferenceAnswer>(new URL('./verify_child.js', import.meta.url), request)
}
