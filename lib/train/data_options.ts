/** Checks of the options that name data, for everything that reads some. */

import type { Columns, DataSource } from '../data/example.js'
import { checkKeys, wrongOption } from '../options.js'

/** @throws OptionError ERR_OPTION for what readExamples does not take */
export function checkSource(option: string, source: unknown): asserts source is DataSource {
  if (!isSource(source)) throw wrongOption(option, 'a data file or rows { text, textPair, label }', source)
}

/** @throws OptionError ERR_OPTION */
export function checkColumns(columns: Columns | undefined): void {
  if (columns !== undefined) checkKeys('columns', columns, ['text', 'textPair', 'label'])
}

/** @throws OptionError ERR_OPTION */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrongOption('signal', 'an AbortSignal', signal)
}

function isSource(source: unknown): boolean {
  if (typeof source === 'string') return source !== ''
  return typeof source === 'object' && source !== null && (Symbol.iterator in source || Symbol.asyncIterator in source)
}
