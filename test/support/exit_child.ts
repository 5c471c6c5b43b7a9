/** Runs in a process of its own: ends it in the way that the first argument names, while a trainer lives. */
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Trainer } from '../../lib/train/trainer.js'
import { tinyBackbone } from './tiny_encoder.js'

const row = (length: number) => Array.from({ length }, (_, i) => (1 + i * 7) % 50)
const batch = {
  inputIds: Array.from({ length: 16 }, () => row(16)),
  labels: Array.from({ length: 16 }, (_, i) => i % 2),
}

/** Half a millisecond a step, forward, backward and AdamW. */
function start(): Promise<Trainer> {
  return Trainer.create({
    backbone: tinyBackbone(),
    task: { kind: 'classification', outputs: 2 },
    adapter: { size: 8 },
    device: 'cpu',
    threads: 2,
  })
}

/** Several steps in one call, so that the process ends in the midst of them. */
function steps(trainer: Trainer, count: number): Promise<unknown[]> {
  const rates = Array.from({ length: count }, () => ({ learningRate: 1e-3 }))
  return trainer.stepMany(
    rates.map(() => batch),
    rates,
  )
}

/** Takes longer than any test waits. */
async function startLongRun(): Promise<void> {
  const trainer = await start()
  void steps(trainer, 20_000).then(() => console.log('the long run has ended'))
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
    await start()
  },
  async pending() {
    const trainer = await start()
    void trainer.step(batch, { learningRate: 1e-3 }).then(({ loss }) => console.log(`settled ${loss > 0}`))
  },
  async disposed() {
    const trainer = await start()
    const run = steps(trainer, 200)
    const disposed = trainer.dispose()
    console.log(`settled ${(await run).length}`)
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
    const trainer = await start()
    console.log(`settled ${(await steps(trainer, 1)).length}`)
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
