import { basename, dirname, parse, relative } from 'node:path'
import type { ProgressView } from './progress.js'

type Signal = 'SIGINT' | 'SIGTERM'

/** Exit code of a process that a signal ends, as shells have it. */
const exitCodes: Readonly<Record<Signal, number>> = { SIGINT: 130, SIGTERM: 143 }

/** A package runner may pass on a Ctrl-C that the terminal has sent to us too: that is still one. */
const sameWithin = 100

/** The reason of an abort by a signal. */
export class Interrupted extends Error {
  readonly exitCode: number

  constructor(signal: Signal) {
    super(`interrupted by ${signal}`)
    this.exitCode = exitCodes[signal]
  }
}

/**
 * The first Ctrl-C or SIGTERM asks the work to stop where it can; a second one ends the process at once, and what is on
 * disk then is the last complete state.
 * @param progress what stands on the terminal meanwhile
 */
export function listenForInterrupts(progress: Pick<ProgressView, 'say' | 'stop'>): {
  readonly signal: AbortSignal
  stop(): void
} {
  const controller = new AbortController()
  let first = -Infinity
  const onSignal = (signal: Signal) => {
    const now = performance.now()
    if (!controller.signal.aborted) {
      first = now
      progress.say(`${signal}: finishing the step and writing a checkpoint; once more ends at once`)
      controller.abort(new Interrupted(signal))
    } else if (now - first > sameWithin) {
      progress.stop()
      process.exit(exitCodes[signal])
    }
  }
  for (const signal of Object.keys(exitCodes)) process.on(signal, onSignal)
  const stop = () => {
    for (const signal of Object.keys(exitCodes)) process.removeListener(signal, onSignal)
  }
  return { signal: controller.signal, stop }
}

/**
 * The command that was given, with `--resume`, to be pasted into a shell.
 * @param script what Node.js runs
 */
export function resumeCommand(given: readonly string[], script: string): string {
  const words = given.filter((word) => word !== '--overwrite' && word !== '--resume')
  return [...startOf(script), ...words, '--resume'].map(quote).join(' ')
}

/** The words that start this program as it was started: by its own name, by npx, or as a script. */
function startOf(script: string): string[] {
  if (parse(script).name === 'onnx-adapters')
    return basename(dirname(script)) === '.bin' ? ['npx', 'onnx-adapters'] : ['onnx-adapters']
  const near = relative(process.cwd(), script)
  return ['node', near.startsWith('..') ? script : near]
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
