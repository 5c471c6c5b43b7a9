/** The dump that test/golden/make_golden.py wrote: a tiny BERT, one batch, and what PyTorch makes of them. */
import { readFileSync } from 'node:fs'
import { packagePath } from './shared.js'

export interface GoldenTensor {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

export interface Golden {
  readonly bottleneck: number
  readonly outputs: number
  readonly activation: 'gelu_tanh'
  readonly pool: 'cls'
  readonly optimizer: {
    readonly learningRate: number
    readonly betas: readonly [number, number]
    readonly epsilon: number
    readonly weightDecay: number
    readonly clipNorm: number
  }
  readonly inputIds: number[][]
  readonly tokenTypeIds: number[][]
  readonly labels: number[]
  /** Before each of ten steps. */
  readonly losses: readonly number[]
  readonly gradientNorms: readonly number[]
  /** `initial/<name>`, `gradients/<name>`, `hidden/<row>`, `logits`. */
  readonly tensors: ReadonlyMap<string, GoldenTensor>
}

type Manifest = Omit<Golden, 'tensors'> & {
  readonly tensors: Readonly<Record<string, { offset: number; shape: number[] }>>
}

export function readGolden(): Golden {
  const manifest = JSON.parse(readFileSync(packagePath('test', 'golden', 'manifest.json'), 'utf8')) as Manifest
  const bytes = readFileSync(packagePath('test', 'golden', 'values.bin'))
  const values = new Float32Array(Uint8Array.from(bytes).buffer)
  const tensors = Object.entries(manifest.tensors).map(([name, { offset, shape }]) => {
    const size = shape.reduce((product, dim) => product * dim, 1)
    return [name, { shape, data: values.slice(offset, offset + size) }] as const
  })
  return { ...manifest, tensors: new Map(tensors) }
}

/** The tensors of one kind by their own names. */
export function tensorsOf(golden: Golden, kind: 'initial' | 'gradients'): Map<string, GoldenTensor> {
  const prefix = `${kind}/`
  const own = [...golden.tensors].filter(([name]) => name.startsWith(prefix))
  return new Map(own.map(([name, held]) => [name.slice(prefix.length), held]))
}

/** Folder of the backbone as one of the two exporters wrote it. */
export function goldenBackbone(exporter: 'eager' | 'sdpa'): string {
  return packagePath('test', 'golden', exporter)
}
