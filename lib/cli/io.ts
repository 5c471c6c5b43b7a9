import { OnnxAdaptersError } from '../errors.js'
import { nameFlags, type Flags } from './flags.js'

export { table } from '../table.js'

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly debug?: boolean
}

/** Results: standard output. Settles when the text is on its way, so that a slow reader slows the work down. */
export function print(text: string): Promise<void> {
  return new Promise((done) => {
    process.stdout.write(`${text}\n`, () => done())
  })
}

/** Results for programs: one JSON document. */
export function printJson(value: unknown): Promise<void> {
  return print(JSON.stringify(value, null, 2))
}

/**
 * Ends the process where its results cannot be written any more: without a word where their reader has seen enough
 * (`predict ... | head -1`). Logs that nobody reads stop nothing.
 */
export function watchStreams(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    log(`error: standard output cannot be written: ${error.message}`)
    process.exit(1)
  })
  process.stderr.on('error', () => {})
}

let flags: Flags = new Map()

/** From now on logs name options of the package by these flags. */
export function nameOptionsBy(given: Flags): void {
  flags = given
}

/** Logs: standard error. */
export function log(text: string): void {
  process.stderr.write(`${nameFlags(text, flags)}\n`)
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/**
 * The message of an error, with its stack where asked.
 * @returns the exit code: 2 for wrong usage, which ERR_OPTION alone is, else 1
 */
export function reportError(error: unknown, debug: boolean): 1 | 2 {
  const known = error instanceof OnnxAdaptersError
  const name = known ? `${error.code}: ` : ''
  log(`error: ${name}${error instanceof Error ? error.message : String(error)}`)
  if (debug && error instanceof Error) {
    log(error.stack ?? '')
    if (known) log(JSON.stringify(error.details, null, 2))
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
      log(`caused by ${cause.stack ?? cause.message}`)
  }
  return known && error.code === 'ERR_OPTION' ? 2 : 1
}
