/** Whether an export may write where it shall: looked at before any work. */

import { readdir, realpath, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { resolveBackbone } from '../backbone/resolve.js'
import { OptionError } from '../errors.js'
import { writeError } from '../formats/atomic.js'
import { makeFolder } from '../formats/folder.js'

/**
 * @throws OptionError ERR_OUTPUT_EXISTS for a file that is there, or a folder with content, unless they may be replaced;
 * ERR_OPTION for a folder where a file shall be, or the other way round
 */
export async function checkOutput(output: string, form: 'file' | 'folder', overwrite: boolean): Promise<void> {
  const found = await stat(output).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw writeError(output, error)
  })
  if (!found) return
  if (found.isDirectory() !== (form === 'folder')) {
    const [is, expected] = form === 'folder' ? ['a file', 'a folder'] : ['a folder', 'the name of a file']
    throw new OptionError('ERR_OPTION', `option "output": ${output} is ${is}, expected ${expected}`, {
      option: 'output',
      got: output,
      expected,
    })
  }
  if (overwrite || (form === 'folder' && (await readdir(output)).length === 0)) return
  const what = form === 'folder' ? 'exists and is not empty' : 'exists'
  const message = `${output} ${what}; choose another output, or replace it by option "overwrite"`
  throw new OptionError('ERR_OUTPUT_EXISTS', message, { option: 'output', got: output, expected: `a new ${form}` })
}

/** Makes the folder in which the output goes. @throws RunError ERR_RUN_WRITE */
export async function prepareOutput(output: string, form: 'file' | 'folder'): Promise<void> {
  const folder = form === 'folder' ? output : dirname(output)
  await makeFolder(folder).catch((cause: unknown) => {
    throw writeError(folder, cause)
  })
}

/**
 * A folder that is written must not be that of the backbone, whose files would be replaced.
 * @param model file of the backbone
 * @throws OptionError ERR_OPTION
 */
export async function refuseBackboneFolder(output: string, model: string): Promise<void> {
  const files = await resolveBackbone(model)
  for (const place of [output, join(output, 'onnx')]) {
    const here = await realpath(place).catch(() => undefined)
    if (here === undefined) continue
    for (const file of [files.model, files.tokenizer, files.config]) {
      if (file === undefined || (await realpath(dirname(file))) !== here) continue
      const message = `option "output": ${output} is the folder of the backbone, which has ${file}: choose another folder`
      throw new OptionError('ERR_OPTION', message, { option: 'output', got: output, expected: 'another folder' })
    }
  }
}

/** Removes what an export of another run may have left. @param names in the folder */
export async function removeOld(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const file = join(folder, name)
    await rm(file, { force: true }).catch((cause: unknown) => {
      throw writeError(file, cause)
    })
  }
}
