/**
 * Training steps on a GPU at the shapes of BERT: rates, where a step goes, memory, the share of what cuBLASLt reaches at
 * the same shapes; and PyTorch on the same GPU, in turns, where its scripts and their Python are named.
 *
 *   npm run bench:gpu -- --output bench/results/gpu-NAME.json
 *   npm run bench:gpu -- --peers ../shared/peers --python python3 --output bench/results/gpu-NAME.json
 *   npm run bench:gpu -- --quick
 *   npm run bench:gpu -- --device cpu --shapes tiny --quick
 *
 * Models are made where it runs, from a seed. The result file is written anew after every measurement: a stop loses
 * nothing. The Python scripts are described in ../shared/peers/README.md.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { resultJson } from '../lib/bench/json.js'
import { workloadNames } from '../lib/bench/workload.js'
import { writeAtomic } from '../lib/formats/atomic.js'
import { DeviceError, OptionError } from '../lib/index.js'
import { checkChoice } from '../lib/options.js'
import { resolveDevice, resolveThreads, type Device } from '../lib/runtime/device.js'
import type { Precision } from '../lib/runtime/precision.js'
import { gpuShapeNames } from './gpu/model.js'
import { peerVersions, whyNoPeers, type PeerOptions } from './gpu/peer.js'
import { printGpuReport } from './gpu/print.js'
import { runGpuBench } from './gpu/run.js'
import { benchArguments, switches } from './support/arguments.js'

const { quick, ...rest } = switches(['quick'])
const args = benchArguments(
  {
    device: 'cuda',
    precision: 'auto',
    shapes: quick ? 'base' : 'base,large',
    models: quick ? '64' : '8,64,256,full',
    rows: quick ? '32' : '32,256',
    workloads: quick ? 'equal' : workloadNames.join(','),
    milliseconds: quick ? '200' : '2000',
    batches: quick ? '4' : '32',
    turns: quick ? '1' : '3',
    threads: '',
    seed: '7',
    // Where models are made and left; a temporary folder otherwise.
    'models-folder': '',
    peers: '',
    python: 'python3',
    how: 'eager,compile',
    paddings: 'longest',
    // Of PyTorch: bf16 is autocast.
    'peer-precision': 'bf16',
    'peer-steps': quick ? '5' : '20',
    output: '',
  },
  rest.args,
)

const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

/** Lists of the command line. */
function list(text: string): string[] {
  return text.split(',').filter(Boolean)
}

function count(name: string, text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new OptionError('ERR_OPTION', `--${name}: expected a whole number above 0, not ${text}`, { option: name })
}

async function main(): Promise<void> {
  const device = args.device as Device
  const { kind, description } = resolveDevice(device, args.precision as Precision)
  console.error(`bench:gpu on ${description}`)
  const { python, how, paddings, 'peer-precision': precision, 'peer-steps': steps } = args
  const peers = path.resolve(args.peers)
  const absent = args.peers ? await whyNoPeers({ peers, python }) : 'not asked for (--peers FOLDER --python PYTHON)'
  if (absent) console.error(`skipped: PyTorch: ${absent}`)
  const peerOptions: PeerOptions = {
    ...{ peers, python, device: kind, how: list(how), paddings: list(paddings), precision },
    ...{ steps: count('peer-steps', steps), warmup: quick ? 3 : 10, signal: stop.signal },
  }
  const folder = args['models-folder'] || (await mkdtemp(path.join(os.tmpdir(), 'bench-gpu-')))
  try {
    const report = await runGpuBench({
      device,
      precision: args.precision,
      shapes: list(args.shapes).map((name) => checkChoice('shapes', name, gpuShapeNames)),
      workloads: list(args.workloads).map((name) => checkChoice('workloads', name, workloadNames)),
      rows: list(args.rows).map((text) => count('rows', text)),
      models: list(args.models),
      milliseconds: count('milliseconds', args.milliseconds),
      batches: count('batches', args.batches),
      turns: count('turns', args.turns),
      threads: args.threads ? count('threads', args.threads) : resolveThreads(),
      seed: count('seed', args.seed),
      folder,
      peers: absent ? undefined : peerOptions,
      versions: absent ? undefined : await peerVersions(python),
      skipped: absent ? [`PyTorch: ${absent}`] : [],
      quick,
      signal: stop.signal,
      log: (line) => console.error(line),
      save: async (document) => {
        if (args.output) await writeAtomic(args.output, resultJson(document))
      },
    })
    console.log(printGpuReport(report))
    if (stop.signal.aborted) process.exitCode = 130
  } finally {
    if (!args['models-folder']) await rm(folder, { recursive: true, force: true })
  }
}

try {
  await main()
} catch (error) {
  if (!(error instanceof DeviceError || error instanceof OptionError)) throw error
  console.error(`bench:gpu: ${error.message}`)
  if (error.code === 'ERR_DEVICE')
    console.error(
      'It needs an NVIDIA GPU and an addon built for it (npm run build:native with nvcc at hand). --device cpu tries it without one.',
    )
  process.exitCode = 1
}
