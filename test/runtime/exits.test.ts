/** Processes end as they should in the midst of a trainer's step: each way in a child process. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const child = fileURLToPath(new URL('../support/exit_child.js', import.meta.url))
const patience = 60_000

interface Ending {
  readonly code: number | null
  readonly signal: string | null
  readonly output: string
}

function end(mode: string): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const running = spawn(process.execPath, [child, mode], { timeout: patience, killSignal: 'SIGKILL' })
    let output = ''
    for (const stream of [running.stdout, running.stderr])
      stream.on('data', (data: Buffer) => (output += data.toString()))
    running.once('error', reject)
    running.once('close', (code, signal) => resolve({ code, signal, output }))
  })
}

const endings = [
  { mode: 'idle', what: 'a trainer that was never disposed', code: 0, output: /^$/ },
  {
    mode: 'pending',
    what: 'a step that nobody awaits keeps the process until it is done',
    code: 0,
    output: /^settled true\n$/,
  },
  { mode: 'disposed', what: 'dispose during steps lets them finish', code: 0, output: /^settled 200\n$/ },
  { mode: 'exit', what: 'process.exit during steps', code: 7, output: /^$/ },
  {
    mode: 'throw',
    what: 'an uncaught error during steps',
    code: 1,
    output: /^(?!.*the long run has ended)[^]*on purpose/,
  },
  { mode: 'terminate', what: 'a worker terminated during steps', code: 0, output: /^settled 1\n$/ },
  { mode: 'workers', what: 'workers that load the addon and end', code: 0, output: /settled workers/ },
]

for (const { mode, what, code, output } of endings) {
  test(what, async (t) => {
    const ending = await end(mode)
    t.is(ending.signal, null, ending.output)
    t.is(ending.code, code, ending.output)
    t.regex(ending.output, output)
  })
}
