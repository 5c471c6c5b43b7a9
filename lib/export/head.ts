import { ExportError } from '../errors.js'
import type { Pool } from '../heads/define.js'
import type { TaskKind } from '../kinds.js'
import type { Aliases } from '../onnx/anchors.js'
import type { ImportedEncoder } from '../onnx/import.js'
import { DataType } from '../onnx/schema.js'
import type { ModelEdit } from './edit.js'
import { NodeMaker } from './nodes.js'
import type { ParameterSource } from './parameters.js'
import { valueInfo } from './write.js'

export interface HeadShape {
  readonly kind: TaskKind
  /** K; a text where it is the widest of several tasks. */
  readonly outputs: number | string
  readonly pool: Pool
}

/** Names of the outputs of each kind of task. */
export function outputNames(kind: TaskKind): string[] {
  return kind === 'span' ? ['start_logits', 'end_logits'] : ['logits']
}

/**
 * Ends the graph in a task's head: pooling, one linear layer, and outputs in float32, `logits` [B, K], `logits` [B, S, K]
 * of a token task, `start_logits` and `end_logits` [B, S] of a span task. The mean is over the tokens that the mask
 * keeps. What the graph gave out before is left out.
 * @throws ExportError ERR_EXPORT_UNSUPPORTED
 */
export function spliceHead(
  edit: ModelEdit,
  encoder: ImportedEncoder,
  { kind, outputs, pool }: HeadShape,
  source: ParameterSource,
): void {
  const names = outputNames(kind)
  for (const name of names) edit.free(name)
  const make = new NodeMaker(edit, edit.tail, 'head')
  const { batch, sequence } = gridOf(edit, encoder)
  const hidden = hiddenGrid(make, encoder)
  if (kind === 'token' || kind === 'span') {
    const product = make.add('MatMul', [hidden, source.matrix(make, 'head.weight')])
    const bias = source.vector(make, 'head.bias')
    if (kind === 'token') make.add('Add', [product, bias], {}, 'logits')
    else {
      const both = make.add('Add', [product, bias])
      for (const [i, name] of names.entries()) make.add('Gather', [both, make.integers([i], [])], { axis: 2 }, name)
    }
    const last = kind === 'token' ? [outputs] : []
    edit.outputs.push(...names.map((name) => valueInfo(name, DataType.float, [batch, sequence, ...last])))
    return
  }
  const features = pooled(make, edit, encoder, hidden, pool)
  const weight = source.matrix(make, 'head.weight')
  if (!source.mixed) {
    const product = make.add('MatMul', [features, weight])
    make.add('Add', [product, source.vector(make, 'head.bias')], {}, 'logits')
  } else {
    const rows = make.reshape(features, [0, 1, -1])
    const product = make.add('Add', [make.add('MatMul', [rows, weight]), source.vector(make, 'head.bias')])
    make.add('Reshape', [product, make.integers([0, -1])], {}, 'logits')
  }
  edit.outputs.push(valueInfo('logits', DataType.float, [batch, outputs]))
}

/** Sizes of ids [batch, sequence], as the file declares them. */
export function gridOf(
  edit: ModelEdit,
  { inputNames }: ImportedEncoder,
): { batch: number | string; sequence: number | string } {
  const info = edit.graph.input.find(({ name }) => name === inputNames.ids)
  const dims = info?.type?.tensorType?.shape?.dim ?? []
  const size = (axis: number, name: string) => {
    const { dimValue, dimParam } = dims[axis] ?? {}
    return dimValue === undefined ? dimParam || name : Number(dimValue)
  }
  return { batch: size(0, 'batch'), sequence: size(1, 'sequence') }
}

/** The encoder's output as f32 [B, S, C]. */
function hiddenGrid(make: NodeMaker, { anchors, config, inputNames }: ImportedEncoder): string {
  const { name, type = DataType.float, rank = 3 } = bestOf(anchors!.hidden)
  const hidden = make.cast(name, type, DataType.float)
  if (rank === 3) return hidden
  const grid = make.add('Concat', [make.add('Shape', [inputNames.ids]), make.integers([config.hidden])], { axis: 0 })
  return make.add('Reshape', [hidden, grid])
}

/** Of values with the same content, one in float32 where there is one. */
function bestOf(values: Aliases): Aliases[number] {
  return values.find(({ type, rank }) => type === DataType.float && rank === 3) ?? values[0]!
}

/** f32 [B, C] */
function pooled(make: NodeMaker, edit: ModelEdit, encoder: ImportedEncoder, hidden: string, pool: Pool): string {
  const { anchors, config, inputNames } = encoder
  switch (pool) {
    case 'cls':
      return make.add('Gather', [hidden, make.integers([0], [])], { axis: 1 })
    case 'mean':
      return inputNames.mask === undefined
        ? make.reduceMean(hidden, 1)
        : maskedMean(make, edit, inputNames.mask, hidden)
    case 'pooler': {
      if (!anchors!.pooler) {
        const message = 'the run reads the pooler of its backbone, and the model file has none'
        throw new ExportError('ERR_EXPORT_UNSUPPORTED', message, { expected: 'a pooler' })
      }
      const { name, type = DataType.float } = bestOf(anchors!.pooler)
      return make.reshape(make.cast(name, type, DataType.float), [-1, config.hidden])
    }
    default:
      return pool satisfies never
  }
}

/** Of a row without any token it is 0, not a division by zero. */
function maskedMean(make: NodeMaker, edit: ModelEdit, mask: string, hidden: string): string {
  const type = edit.graph.input.find(({ name }) => name === mask)?.type?.tensorType?.elemType ?? DataType.int64
  const weights = make.reshape(make.cast(mask, type, DataType.float), [0, -1, 1])
  const sum = make.reduceSum(make.add('Mul', [hidden, weights]), 1)
  const count = make.add('Max', [make.reduceSum(weights, 1), make.scalar(1)])
  return make.reshape(make.add('Div', [sum, count]), [0, -1])
}
