/** Memory that does not suffice, and a GPU that goes: each in a process of its own, since a lost GPU stays lost in it. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import type { TrainOptions } from '../../../lib/index.js'
import { prepareTraining } from '../../support/training.js'

const index = new URL('../../../lib/index.js', import.meta.url).href
const device = new URL('../../../lib/runtime/device.js', import.meta.url).href

interface Said {
  readonly code?: string
  readonly message?: string
  readonly details?: Readonly<Record<string, unknown>>
}

/** What a program prints as JSON on an imaginary machine; `options` are those of a training, `attempt` runs and tells what it threw. */
async function runOn<T>(machine: string, options: object, body: string): Promise<T> {
  const program = `
    import { loadBackbone, train, Trainer } from ${JSON.stringify(index)}
    import { resolveDevice } from ${JSON.stringify(device)}
    const options = JSON.parse(process.argv[1])
    const attempt = async (work) => {
      try { await work(); return {} }
      catch ({ code, message, details }) { return { code, message, details } }
    }
    ${body}`
  const env = { ...process.env, ONNX_ADAPTERS_STANDIN: machine }
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', program, JSON.stringify(options)],
    { env },
  )
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as T
}

async function prepare(t: ExecutionContext, more: Partial<TrainOptions> = {}): Promise<TrainOptions> {
  const { options } = await prepareTraining(t, { epochs: 1, trainRows: 40, device: 'cuda', ...more })
  return options
}

const trainOnce = 'console.log(JSON.stringify(await attempt(() => train(options))))'

test('no room for the frozen weights: the model is to blame, not the batch', async (t) => {
  const { code, message } = await runOn<Said>('memory=3000', await prepare(t), trainOnce)
  t.is(code, 'ERR_MEMORY')
  t.regex(message!, /the GPU has no room for the \d+ MiB of the frozen weights; the model itself does not fit/)
  t.regex(message!, /smaller backbone.*device 'cpu'/)
  t.notRegex(message!, /batchSize/)
})

test('no room for a plan at the start, or for a larger batch later: what was asked for, and what to lower', async (t) => {
  const lower = /lower option "batchSize" or option "maxLength"/
  const start = await runOn<Said>('memory=150000', await prepare(t), trainOnce)
  t.is(start.code, 'ERR_MEMORY')
  t.regex(start.message!, /no room for the \d+ MiB of the activations|allocating the workspace of products/)
  t.regex(start.message!, lower)
  // 96 rows at once are more than a session begins with.
  const later = await runOn<Said>('memory=2200000', await prepare(t, { batchSize: 96, trainRows: 96 }), trainOnce)
  t.is(later.code, 'ERR_MEMORY')
  t.regex(later.message!, lower)
  t.is(later.details!.batch, undefined, 'no step has run')
})

test('a session that finds no room for a larger batch goes on with the smaller ones', async (t) => {
  const { first, refused, second } = await runOn<{ first: number; refused: Said; second: number }>(
    'memory=5000000',
    await prepare(t),
    `const backbone = await loadBackbone(options.backbone, { verify: false })
     const trainer = await Trainer.create({ backbone, task: { kind: 'classification', outputs: 2 }, device: 'cuda' })
     const rows = (count) => ({ inputIds: Array.from({ length: count }, () => [1, 2, 3, 4]), labels: Array(count).fill(1) })
     const { loss: first } = await trainer.step(rows(4), { learningRate: 0 })
     const refused = await attempt(() => trainer.step(rows(2000), { learningRate: 0 }))
     const { loss: second } = await trainer.step(rows(4), { learningRate: 0 })
     console.log(JSON.stringify({ first, refused, second }))`,
  )
  t.is(refused.code, 'ERR_MEMORY')
  t.regex(refused.message!, /lower option "batchSize"/)
  t.is(second, first)
})

test('a GPU that is lost in a step: the process lives, later sessions say why, auto takes the CPU', async (t) => {
  interface Lost {
    readonly during: Said
    readonly after: Said
    readonly auto: string
    readonly onCpu: Said
  }
  const said = await runOn<Lost>(
    'lost=300',
    await prepare(t),
    `const during = await attempt(() => train(options))
     const after = await attempt(() => train({ ...options, output: options.output + '-2' }))
     const auto = resolveDevice('auto').kind
     const onCpu = await attempt(() => train({ ...options, device: 'auto', output: options.output + '-3' }))
     console.log(JSON.stringify({ during, after, auto, onCpu }))`,
  )
  t.is(said.during.code, 'ERR_DEVICE')
  t.regex(
    said.during.message!,
    /CUDA failed at running a step: .*start again \(a training resumes at its last checkpoint\)/,
  )
  t.is(said.after.code, 'ERR_DEVICE')
  t.regex(
    said.after.message!,
    /the GPU was lost to this process earlier \(CUDA failed at running a step.*\): start again/,
  )
  t.is(said.auto, 'cpu')
  t.deepEqual(said.onCpu, {})
})

test('a GPU that is lost before the first step, and sessions that were open then', async (t) => {
  const { first, second, disposed } = await runOn<{ first: Said; second: Said; disposed: Said }>(
    'lost=1',
    await prepare(t),
    `const backbone = await loadBackbone(options.backbone, { verify: false })
     const open = () => Trainer.create({ backbone, task: { kind: 'classification', outputs: 2 }, device: 'cuda' })
     const [one, two] = [await open(), await open()]
     const rows = { inputIds: [[1, 2, 3]], labels: [1] }
     const first = await attempt(() => one.step(rows, { learningRate: 0 }))
     const second = await attempt(() => two.step(rows, { learningRate: 0 }))
     const disposed = await attempt(() => Promise.all([one.dispose(), two.dispose()]))
     console.log(JSON.stringify({ first, second, disposed }))`,
  )
  t.is(first.code, 'ERR_DEVICE')
  t.is(second.code, 'ERR_DEVICE')
  t.deepEqual(disposed, {})
})

test('what a lost GPU left behind goes on in another process', async (t) => {
  const options = await prepare(t, { epochs: 2 })
  const lost = await runOn<Said>('lost=500', options, trainOnce)
  t.is(lost.code, 'ERR_DEVICE')
  const resumed = await runOn<Said>('', { ...options, resume: true }, trainOnce)
  t.deepEqual(resumed, {})
})
