import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a child process says that has nothing to give. */
export interface ChildFailure {
  readonly kind: 'failed'
  readonly reason: string
}

/** Ten minutes: far more than a large model takes on a slow machine, but not for ever. */
const longest = 600_000

/**
 * Asks a program one question, in a process of its own: what it loads, its faults and its threads, then cannot touch
 * ours.
 * @param script a module that answers one message with one message
 * @param limit in milliseconds; a process that takes longer is ended
 */
export function askChild<Answer>(
  script: URL,
  request: object,
  limit: number = longest,
): Promise<Answer | ChildFailure> {
  return new Promise((settle) => {
    // `advanced` carries typed arrays as they are. What the library prints goes nowhere.
    const child = fork(fileURLToPath(script), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [],
      // The library would report its use to its makers, and leave a session file in the working folder.
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    })
    const timer = setTimeout(() => {
      finish({ kind: 'failed', reason: `the process gave no answer in ${limit / 1000} seconds and was ended` })
      child.kill('SIGKILL')
    }, limit)
    const finish = (answer: Answer | ChildFailure) => {
      clearTimeout(timer)
      settle(answer)
    }
    child.once('message', (message) => finish(message as Answer))
    child.once('error', (error) => finish({ kind: 'failed', reason: error.message }))
    child.once('exit', (code, signal) => {
      const fail = () => finish({ kind: 'failed', reason: `the process ended with ${signal ?? code}` })
      // Its last message may still be on the way: the channel closes behind it.
      if (child.connected) child.once('disconnect', fail)
      else setImmediate(fail)
    })
    // A child that died before it could listen reports through its exit.
    child.send(request, () => {})
  })
}
