/** Backbones and trainers for the tests of the whole model. */
import { loadBackbone, Trainer } from '../../lib/index.js'
import type { Golden } from './golden.js'
import { goldenBackbone, tensorsOf } from './golden.js'

export type TrainerOptions = Parameters<typeof Trainer.create>[0]
export type Backbone = Awaited<ReturnType<typeof loadBackbone>>

/** A trainer on the golden backbone, its options as in the golden run. */
export async function goldenTrainer(
  golden: Golden,
  backbone: Backbone,
  options: Partial<TrainerOptions> = {},
): Promise<Trainer> {
  return Trainer.create({ ...goldenOptions(golden), backbone, ...options })
}

export function goldenOptions(golden: Golden): Omit<TrainerOptions, 'backbone'> {
  const { betas, epsilon, weightDecay, clipNorm } = golden.optimizer
  return {
    task: { kind: 'classification', outputs: golden.outputs },
    adapter: { size: golden.bottleneck, activation: golden.activation },
    head: { pool: golden.pool },
    trainable: ['adapters', 'layerNorm', 'head'],
    optimizer: { name: 'adamw', betas, epsilon, weightDecay, biasCorrection: true, clipNorm },
    dropout: 0,
    seed: 0,
    device: 'cpu',
    threads: 1,
  }
}

export async function goldenStart(golden: Golden, trainer: Trainer): Promise<void> {
  const initial = tensorsOf(golden, 'initial')
  await trainer.setParameters(
    new Map([...initial].map(([name, { shape, data }]) => [name, { shape: [...shape], data }])),
  )
}

export async function loadGoldenBackbone(exporter: 'eager' | 'sdpa' = 'eager'): Promise<Backbone> {
  // The comparison with ONNX Runtime has tests of its own.
  return loadBackbone(goldenBackbone(exporter), { verify: false })
}

/** Golden losses of `count` steps from where the trainer stands. */
export async function stepLosses(golden: Golden, trainer: Trainer, count: number): Promise<number[]> {
  const { inputIds, tokenTypeIds, labels, optimizer } = golden
  const losses: number[] = []
  for (let i = 0; i < count; i++) {
    const { loss } = await trainer.step({ inputIds, tokenTypeIds, labels }, { learningRate: optimizer.learningRate })
    losses.push(loss)
  }
  return losses
}

export type ParameterMap = Awaited<ReturnType<Trainer['parameters']>>

/** Byte equality of two sets of tensors: the name of the first that differs, or undefined. */
export function firstDifferent(a: ParameterMap, b: ParameterMap): string | undefined {
  if (a.size !== b.size) return `${a.size} against ${b.size} tensors`
  for (const [name, { data }] of a) {
    const other = b.get(name)?.data
    const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)
    if (!other || !bytes(data).equals(bytes(other))) return name
  }
  return undefined
}
