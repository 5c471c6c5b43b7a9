/** The files with external data that go with an edited model. */

import { rmSync } from 'node:fs'
import { open, realpath, rename, rm, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { OptionError } from '../errors.js'
import { temporaryName, writeAt, writeAtomicWith, writeError } from '../formats/atomic.js'
import { atExit } from '../formats/exit.js'
import { makeFolder } from '../formats/folder.js'
import { readRange } from '../onnx/bytes.js'
import { externalFiles, type ExternalFile } from '../onnx/external.js'
import type { OnnxModel } from '../onnx/schema.js'
import type { ModelEdit } from './edit.js'
import { checkOutput } from './output.js'

/** Data files that the new model still names, unless they are beside it: they get there under the same names. */
export async function findExternal(edit: ModelEdit, output: string, overwrite: boolean): Promise<ExternalFile[]> {
  const { reads } = edit.liveNodes()
  const kept = edit.graph.initializer.filter((tensor) => !edit.isForsaken(tensor, reads))
  const model: OnnxModel = { ...edit.model, graph: { ...edit.graph, initializer: kept } }
  const files = await externalFiles(model, edit.records.file)
  const [from, to] = [dirname(resolve(edit.records.file)), dirname(resolve(output))]
  const own = files.find(({ location }) => resolve(to, location) === resolve(output))
  if (own) {
    const message = `option "output": ${output} is what the model calls its data file, "${own.location}": choose another name`
    throw new OptionError('ERR_OPTION', message, { option: 'output', got: output, expected: 'another name' })
  }
  if ((await realpath(from)) === (await realpath(to))) return []
  for (const { location } of files) await checkOutput(join(to, location), 'file', overwrite)
  return files
}

/** A folder beside the output that goes, with what is left in it, whatever happens. */
export async function withStage(output: string, work: (stage: string) => Promise<void>): Promise<void> {
  const stage = temporaryName(output)
  const forget = atExit(() => rmSync(stage, { recursive: true, force: true }))
  try {
    await makeFolder(stage).catch((cause: unknown) => {
      throw writeError(stage, cause)
    })
    await work(stage)
  } finally {
    await rm(stage, { recursive: true, force: true })
    forget()
  }
}

/** Model and data files come together in the stage, where the model is looked at; only then do they take their places. */
export async function writeBeside(
  stage: string,
  files: readonly ExternalFile[],
  output: string,
  write: (handle: FileHandle) => Promise<void>,
  check?: (file: string) => Promise<void>,
): Promise<void> {
  for (const { location, real } of files) {
    await makeFolder(dirname(join(stage, location)))
    const source = await open(real, 'r')
    try {
      const { size } = await source.stat()
      await writeAtomicWith(join(stage, location), async (handle) => void (await copyRange(handle, source, 0, size, 0)))
    } finally {
      await source.close()
    }
  }
  await writeAtomicWith(output, write, async (temporary) => {
    const staged = join(stage, basename(temporary))
    await rename(temporary, staged)
    await check?.(staged)
    for (const { location } of files) {
      const target = join(dirname(output), location)
      await makeFolder(dirname(target))
      await rename(join(stage, location), target)
    }
    await rename(staged, temporary)
  })
}

const chunk = 2 ** 20

/** Copies a stretch of a file to a place of another one. @returns where it ends */
export async function copyRange(
  handle: FileHandle,
  source: FileHandle,
  start: number,
  end: number,
  to: number,
): Promise<number> {
  for (let done = start; done < end;) {
    const bytes = await readRange(source, done, Math.min(chunk, end - done))
    if (bytes.length === 0) throw new Error('the model file became shorter while it was read')
    await writeAt(handle, bytes, to + done - start)
    done += bytes.length
  }
  return to + end - start
}
