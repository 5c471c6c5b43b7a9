import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a child process says that has nothing to give. */
export interface ChildFailure {
  readonly kind: 'failed'
  readonly reason: string
}

/**
 * Asks a program that uses ONNX Runtime one question, in a process of its own: a fault of that library, or its threads,
 * then cannot touch ours.
 * @param script a module that answers one message with one message
 */
export function askChild<Answer>(script: URL, request: object): Promise<Answer | ChildFailure> {
  return new Promise((finish) => {
    // `advanced` carries typed arrays as they are. What the library prints goes nowhere.
    const child = fork(fileURLToPath(script), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [],
      // The library would report its use to its makers, and leave a session file in the working folder.
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    })
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
