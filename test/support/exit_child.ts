/** Runs in a process of its own: ends it in the way that the first argument names, while a session lives. */
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { plainSession } from './plain_session.js'

const longRun = 100_000

async function startLongRun(): Promise<void> {
  const { session, batch } = await plainSession()
  void session.run(
    'large',
    Array.from({ length: longRun }, () => batch),
  )
}

async function terminateWorker(): Promise<void> {
  const worker = startWorker('busy')
  await new Promise((resolve) => worker.once('message', resolve))
  await new Promise((resolve) => setTimeout(resolve, 30))
  await worker.terminate()
}

function startWorker(mode: string): Worker {
  return new Worker(fileURLToPath(import.meta.url), { workerData: mode })
}

async function runWorker(mode: string): Promise<void> {
  const exited = new Promise((resolve, reject) => startWorker(mode).once('exit', resolve).once('error', reject))
  await exited
}

const modes: Readonly<Record<string, () => Promise<void>>> = {
  async idle() {
    await plainSession()
  },
  async pending() {
    const { session, batch } = await plainSession()
    void session.run('large', [batch, batch]).then(({ losses }) => console.log(`settled ${losses.length}`))
  },
  async disposed() {
    const { session, batch } = await plainSession()
    const run = session.run('large', [batch, batch])
    const disposed = session.dispose()
    console.log(`settled ${(await run).losses.length}`)
    await disposed
  },
  async exit() {
    await startLongRun()
    setTimeout(() => process.exit(7), 30)
  },
  async throw() {
    await startLongRun()
    setTimeout(() => {
      throw new Error('on purpose')
    }, 30)
  },
  async terminate() {
    await terminateWorker()
    const { session, batch } = await plainSession()
    console.log(`settled ${(await session.run('large', [batch])).losses.length}`)
  },
  // The addon is loaded, left and loaded again.
  async workers() {
    for (let i = 0; i < 3; i++) await runWorker('idle')
    await Promise.all([runWorker('idle'), runWorker('disposed')])
    console.log('settled workers')
  },
  async busy() {
    await startLongRun()
    parentPort?.postMessage('started')
  },
}

const mode = isMainThread ? process.argv[2] : (workerData as string)
await modes[mode ?? '']!()
