/** The arguments of `predict`: folders of runs, then texts. Nothing but the disk tells one from the other. */

import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { OptionError, RunError } from '../errors.js'
import { suggest } from '../options.js'
import { runFiles } from '../train/run.js'

export interface SplitArguments {
  readonly runs: readonly string[]
  readonly texts: readonly string[]
  /** Of texts that may be meant to be runs: what to say of them. */
  readonly doubts: readonly string[]
}

/**
 * @param words at least one
 * @param input a file of texts, where one was given
 * @throws RunError ERR_RUN_MISSING where the first word is no run; OptionError ERR_OPTION where there are no texts, or
 * texts and a file of them
 */
export function splitArguments(words: readonly string[], input: string | undefined): SplitArguments {
  const end = words.findIndex((word) => !isRun(word))
  const runs = end < 0 ? words : words.slice(0, end)
  const texts = words.slice(runs.length)
  if (runs.length === 0) throw noRun(words[0]!, words.length === 1 && input === undefined)
  if (input !== undefined && texts.length > 0) {
    throw new OptionError(
      'ERR_OPTION',
      `"${texts[0]}" is no folder of a run (no ${runFiles.record} in it), and no text can be given together with ` +
        'option "input": leave it out, or option "input"',
      { option: 'input', got: texts[0], expected: 'texts or a file of them' },
    )
  }
  if (input === undefined && texts.length === 0) {
    const message = 'predict: no texts: give them after the run, or option "input"'
    throw new OptionError('ERR_OPTION', message, { option: 'input' })
  }
  return { runs, texts, doubts: texts.flatMap((text) => doubtOf(text) ?? []) }
}

function isRun(word: string): boolean {
  return existsSync(join(word, runFiles.record))
}

/** @param alone where it is the only argument, and so may as well be a text of a call without a run */
function noRun(word: string, alone: boolean): RunError | OptionError {
  const message =
    `${word}: not the folder of a run: no ${runFiles.record} in it; predict takes the folder of a run first, then texts` +
    hintOf(word)
  const details = { file: join(word, runFiles.record) }
  return alone ? new OptionError('ERR_OPTION', message, details) : new RunError('ERR_RUN_MISSING', message, details)
}

/** A path that leads to a folder, or into one, is hardly a text. */
function doubtOf(text: string): string | undefined {
  if (/\s/.test(text)) return undefined
  if (isRun(text)) return `"${text}" is taken for a text, since it stands behind one`
  const above = dirname(text)
  // Words stand in the working folder, and `/help` in the root.
  const isPath = isFolder(text) || (above !== '.' && dirname(above) !== above && isFolder(above))
  return isPath ? `"${text}" is no folder of a run, and is taken for a text${hintOf(text)}` : undefined
}

/** Not every text is a path that the system can look at. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** The run beside it whose name is near. */
function hintOf(word: string): string {
  const folder = dirname(word)
  const near = suggest(
    basename(word),
    namesIn(folder).filter((name) => isRun(join(folder, name))),
  )
  return near === undefined ? '' : `; did you mean "${join(folder, near)}"?`
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
