/** The command line in a child process. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The program that package.json names. */
export const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** @param input what standard input holds */
export function cli(args: readonly string[], input: string | Uint8Array = ''): Promise<Outcome> {
  return new Promise((finish, fail) => {
    const child = spawn(process.execPath, [main, ...args])
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
    }
    child.once('error', fail)
    child.once('close', (code) => finish({ code, ...text }))
    child.stdin.end(input)
  })
}
