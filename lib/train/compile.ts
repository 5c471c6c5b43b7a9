import { applyDropout } from '../adapters/apply_dropout.js'
import { fuseResiduals } from '../adapters/fuse_residuals.js'
import { insertAdapters, type AdapterReport } from '../adapters/houlsby.js'
import { initialData, type Initial } from '../adapters/init.js'
import { selectTrainable } from '../adapters/trainable.js'
import { differentiate } from '../autodiff/backward.js'
import { fuseEpilogues } from '../autodiff/fuse.js'
import { attachHead, type Pooler } from '../heads/define.js'
import { heads } from '../heads/index.js'
import { valueContent } from '../ir/content.js'
import type { Graph, Value } from '../ir/graph.js'
import { replaceInGraph, valuesOf } from '../ir/rewrite.js'
import { verify } from '../ir/verify.js'
import { adamw } from '../ops/adamw.js'
import { makeNode } from '../ops/define.js'
import { gradNorm } from '../ops/grad_norm.js'
import { flatBuffer, layOutParameters, type ParameterLayout } from '../plan/layout.js'
import { schedule, type Entry } from '../plan/schedule.js'
import { encoderLimits } from './batch.js'
import type { Optimizer } from './optimizer.js'
import { refuseNothingTrained, type ResolvedModel } from './trainer_options.js'

/** A model ready to be planned for inference: its entries, where its parameters lie, and how they start. */
export interface CompiledInference {
  readonly entries: readonly Entry[]
  readonly layout: ParameterLayout
  /** The flat parameter buffer before the first step. */
  readonly initial: Float32Array
  /** To print. */
  readonly inference: Graph
  readonly adapters: AdapterReport | undefined
}

/** The same, ready to be trained too. */
export interface CompiledModel extends CompiledInference {
  /** Differentiated, with its loss; to print. */
  readonly training: Graph
}

/** A model of several tasks, without parameters of its own. */
export interface CompiledShared {
  readonly entries: readonly Entry[]
  readonly layout: ParameterLayout
  /** What each task brings. */
  readonly parameters: readonly Value[]
}

/** The imported encoder, as far as compiling needs it. */
export interface EncoderSource {
  readonly graph: Graph
  readonly pooler?: Pooler | undefined
}

/**
 * From an imported encoder to the entries of a session that trains: those of `compileInference`, `gradients` (loss, norm,
 * gradient buffer) and `step` (the same, then AdamW).
 * @param guard for tests: see `layOutParameters`
 */
export function compileModel(encoder: EncoderSource, model: ResolvedModel, guard = 0): CompiledModel {
  const { head, trained, ...inference } = buildInference(encoder, model, guard)
  const withLoss = head.withLoss(applyDropout(inference.inference, model.dropout))
  const backward = differentiate(withLoss, withLoss.outputs.loss!, trained)
  const training = verify(fuseEpilogues(backward.graph), 'backward')
  const entries = [...inference.entries, ...trainingEntries(training, inference.layout, model.optimizer)]
  return { ...inference, entries, training }
}

/**
 * The entries of a session that only infers, without dropout, and that keeps nothing for a backward pass: `forward`
 * (logits) and `evaluate` (loss and logits). Parameters lie as in `compileModel`.
 */
export function compileInference(encoder: EncoderSource, model: ResolvedModel): CompiledInference {
  const { entries, layout, initial, inference, adapters } = buildInference(encoder, model, 0)
  return { entries, layout, initial, inference, adapters }
}

/** The encoder with adapters and head, and what of it is trained. */
function buildGraph(encoder: EncoderSource, model: ResolvedModel) {
  const { kind, outputs, pool, trainable } = model
  const fused = fuseResiduals(boundLengths(verify(encoder.graph, 'imported')))
  const adapted = model.adapter ? insertAdapters(fused, model.adapter) : undefined
  const head = attachHead(adapted?.graph ?? fused, heads[kind], { outputs, pool, pooler: encoder.pooler })
  const { graph: inference, trained } = selectTrainable(
    head.graph,
    trainable,
    model.adapter ? model.adapter.layers : 'all',
  )
  refuseNothingTrained(trained.size, model)
  return { head, trained, inference, adapted }
}

function buildInference(encoder: EncoderSource, model: ResolvedModel, guard: number) {
  const { head, trained, inference, adapted } = buildGraph(encoder, model)
  const evaluated = verify(head.withLoss(inference), 'model')

  const parameters = valuesOf(inference, 'parameter')
  const layout = layOutParameters(parameters, (value) => trained.has(value), guard)
  const starts = new Map<Value, Initial>([
    ...(adapted?.report.initial ?? []),
    [head.weight, { kind: 'truncatedNormal', std: model.headStd }],
  ])
  return {
    head,
    trained,
    entries: [
      entry('forward', inference, { output: inference.outputs.logits }),
      entry('evaluate', evaluated, { loss: evaluated.outputs.loss, output: evaluated.outputs.logits }),
    ],
    layout,
    initial: initialBuffer(parameters, layout, starts, model.seed),
    inference,
    adapters: adapted?.report,
  }
}

/**
 * One entry, `forward`, for rows of several tasks at once: what would be parameters are weights of a row's task
 * (`Session.addTask`). The tasks must be alike in everything but those: see lib/predict/shared_model.ts.
 */
export function compileShared(encoder: EncoderSource, model: ResolvedModel): CompiledShared {
  const { inference } = buildGraph(encoder, model)
  const parameters = valuesOf(inference, 'parameter')
  const ofTask = new Map<Value, Value>(parameters.map((value) => [value, { ...value, storage: 'task' }]))
  const shared = verify(replaceInGraph(inference, ofTask), 'shared')
  return {
    entries: [entry('forward', shared, { output: shared.outputs.logits })],
    layout: layOutParameters([], () => false),
    parameters,
  }
}

/** The frozen encoder alone: one entry, `encode`. */
export function compileEncoder(encoder: EncoderSource): { entries: readonly Entry[]; layout: ParameterLayout } {
  const graph = fuseResiduals(boundLengths(verify(encoder.graph, 'imported')))
  return {
    entries: [entry('encode', graph, { output: graph.outputs.hidden })],
    layout: layOutParameters([], () => false),
  }
}

/** Tells attention how long a sequence can be, so that its scratch is sized by that and not by the whole batch. */
function boundLengths(graph: Graph): Graph {
  const { positions } = encoderLimits(graph)
  if (!Number.isFinite(positions)) return graph
  const nodes = graph.nodes.map((node) =>
    node.op === 'attention' ? { ...node, attributes: { ...node.attributes, max_length: positions } } : node,
  )
  return { nodes, outputs: graph.outputs }
}

interface Results {
  readonly loss?: Value | undefined
  readonly norm?: Value | undefined
  readonly output?: Value | undefined
}

function entry(name: string, graph: Graph, results: Results, updates = false): Entry {
  const wanted = [results.loss, results.norm, results.output].filter((value) => value !== undefined)
  return { name, nodes: schedule(graph, wanted), ...results, updates }
}

function trainingEntries(training: Graph, layout: ParameterLayout, optimizer: Optimizer): Entry[] {
  const gradients = flatBuffer('gradient', layout)
  const normNode = makeNode(gradNorm, 'gradient_norm', { gradients })
  const { norm } = normNode.outputs
  const { beta1, beta2, epsilon, weightDecay, biasCorrection, clipNorm } = optimizer
  const update = makeNode(
    adamw,
    'adamw',
    { gradients, norm },
    {
      beta1,
      beta2,
      epsilon,
      weight_decay: weightDecay,
      clip_norm: clipNorm,
      bias_correction: biasCorrection ? 1 : 0,
      decayed: layout.decayed,
    },
  )
  const inPlace = {
    ...update,
    outputs: {
      parameters: flatBuffer('parameter', layout),
      moment1: flatBuffer('moment1', layout),
      moment2: flatBuffer('moment2', layout),
    },
  }
  const results = { loss: training.outputs.loss, norm }
  const withNorm: Graph = { nodes: [...training.nodes, normNode], outputs: training.outputs }
  const withUpdate = verify({ nodes: [...withNorm.nodes, inPlace], outputs: training.outputs }, 'planned')
  return [entry('gradients', withNorm, results), entry('step', withUpdate, results, true)]
}

function initialBuffer(
  parameters: readonly Value[],
  layout: ParameterLayout,
  starts: ReadonlyMap<Value, Initial>,
  seed: number,
): Float32Array {
  const flat = new Float32Array(layout.size)
  for (const value of parameters) {
    const size = value.shape.reduce<number>((product, dim) => product * Number(dim), 1)
    const content = value.parts
      ? valueContent(value)
      : initialData(value.name, size, starts.get(value) ?? { kind: 'zero' }, seed)
    flat.set(content, layout.offsets.get(value.name)!)
  }
  return flat
}
