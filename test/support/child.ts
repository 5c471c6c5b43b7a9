/** Child processes whose output is wanted. */
import { spawn } from 'node:child_process'

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ChildOptions {
  /** Folder it runs in. */
  readonly cwd?: string
  /** Variables beside this process's own; undefined takes one away. */
  readonly environment?: NodeJS.ProcessEnv
}

/** Runs a command to its end; its standard input is empty. */
export function run(command: string, args: readonly string[], options: ChildOptions = {}): Promise<Outcome> {
  const { cwd, environment = {} } = options
  return new Promise((finish, fail) => {
    const env = { ...process.env, ...environment }
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
    }
    child.once('error', fail)
    child.once('close', (status) => finish({ status, ...text }))
  })
}
