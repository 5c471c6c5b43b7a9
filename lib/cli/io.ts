import { OnnxAdaptersError } from '../errors.js'

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly debug?: boolean
}

/** Results: standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Results for programs: one JSON document. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2))
}

/** Logs: standard error. */
export function log(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Rows of [name, value] with the values in line. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** The message of an error, with its stack where asked; and the exit code: 2 for wrong usage, else 1. */
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
