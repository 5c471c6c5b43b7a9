import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import type { Workload } from '../../lib/bench/workload.js'
import { gpuJobName, type GpuJob } from './job.js'
import { runProgram } from '../support/program.js'

export interface PeerOptions {
  /** Folder of the Python scripts. */
  readonly peers: string
  readonly python: string
  readonly device: 'cuda' | 'cpu'
  /** `eager`, `compile`: PyTorch as it comes, and through torch.compile. */
  readonly how: readonly string[]
  /** Ways to pad batches of real lengths: `longest`, `max128`, `bucketed`. */
  readonly paddings: readonly string[]
  /** `bf16`, `tf32`, `fp32`. */
  readonly precision: string
  /** Of a turn; and those before that are not timed. */
  readonly steps: number
  readonly warmup: number
  readonly signal: AbortSignal
}

/** One way in which PyTorch trained a configuration. */
export interface PeerLine {
  readonly how: string
  /** Absent where all rows are of one length. */
  readonly padding?: string
  readonly precision: string
  /** Real ones, not padding. */
  readonly tokensPerSecond: number
  readonly milliseconds: number
  /** Padded tokens of a step over real ones. */
  readonly paddedShare: number
  /** Peak of what PyTorch allocated on the GPU. */
  readonly peakMiB?: number
}

/** The script that trains on a GPU, in its folder. */
const script = 'torch_cuda.py'

/** Why the others cannot be measured; undefined where they can. */
export async function whyNoPeers({
  peers,
  python,
}: Pick<PeerOptions, 'peers' | 'python'>): Promise<string | undefined> {
  if (!existsSync(path.join(peers, script))) return `${path.join(peers, script)} is not there`
  try {
    await runProgram(python, ['-c', 'import torch, transformers, tokenizers'], AbortSignal.timeout(120_000))
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** Versions of what is compared with. */
export async function peerVersions(python: string): Promise<Record<string, string>> {
  const program = [
    'import json, platform, torch, transformers',
    'print(json.dumps({"python": platform.python_version(), "torch": torch.__version__,',
    '  "transformers": transformers.__version__, "cuda": str(torch.version.cuda)}))',
  ]
  return JSON.parse(await runProgram(python, ['-c', program.join('\n')], AbortSignal.timeout(120_000))) as Record<
    string,
    string
  >
}

/** All ways in which PyTorch trains a configuration, each in a process of its own; a failure stands for its way alone. */
export async function measurePeers(
  job: GpuJob,
  workload: Workload,
  options: PeerOptions,
  failed: (what: string, reason: string) => void,
): Promise<PeerLine[]> {
  const lines: PeerLine[] = []
  for (const padding of job.workload === 'equal' ? [undefined] : options.paddings) {
    for (const how of options.how) {
      try {
        lines.push(await measurePeer(job, workload, how, padding, options))
      } catch (error) {
        if (options.signal.aborted) throw error
        failed([gpuJobName(job), 'torch', how, padding].filter(Boolean).join(', '), (error as Error).message)
      }
    }
  }
  return lines
}

async function measurePeer(
  job: GpuJob,
  workload: Workload,
  how: string,
  padding: string | undefined,
  { peers, python, device, precision, steps, warmup, signal }: PeerOptions,
): Promise<PeerLine> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'torch-'))
  try {
    const [lengths, output] = [path.join(folder, 'lengths.txt'), path.join(folder, 'lines.jsonl')]
    const rows = workload.batches.flatMap(({ inputIds }) => inputIds.map((row) => row.length))
    await writeFile(lengths, rows.join('\n'))
    await runProgram(
      python,
      [
        path.join(peers, script),
        ...['--device', device, '--shape', job.shape, '--sizes', job.model, '--rows', String(job.rows)],
        ...(padding ? ['--lengths', lengths, '--padding', padding] : ['--length', String(rows[0])]),
        ...['--how', how, '--precision', precision, '--dropout', '0.1'],
        ...['--steps', String(steps), '--warmup', String(warmup), '--rounds', '1', '--json', output],
      ],
      signal,
    )
    const line = JSON.parse((await readFile(output, 'utf8')).trim().split('\n').at(-1)!) as Record<string, unknown>
    const peak = line.peak_mib
    return {
      how,
      ...(padding === undefined ? {} : { padding }),
      precision,
      tokensPerSecond: Number(line.tokens_per_s),
      milliseconds: Number(line.step_ms),
      paddedShare: Number(line.padded_tokens_per_step) / Number(line.real_tokens_per_step),
      ...(typeof peak === 'number' ? { peakMiB: peak } : {}),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
