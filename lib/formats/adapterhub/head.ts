/** Prediction heads of the `adapters` library: head_config.json and their two tensors. */

import type { TaskKind } from '../../kinds.js'
import { show } from '../../options.js'
import type { FloatTensor } from '../safetensors.js'
import type { SourceTensors } from './adapter_tensors.js'
import { encodeConfig, isJson, readName, type Json, type ModelDescription } from './config.js'
import { invalid, unsupported } from './wrong.js'

/** A head of one linear layer. */
export interface HeadPlan {
  readonly kind: TaskKind
  /** What it reads where it is of whole texts: the first token, or the pooler over it. */
  readonly pool: 'cls' | 'pooler'
  readonly outputs: number
  /** Names in the order of the outputs, where the file has them. */
  readonly labels?: readonly string[]
  /** Names of its tensors before `.weight` and `.bias`. */
  readonly tensors: string
  readonly bias: boolean
}

const kinds: Readonly<Record<string, TaskKind>> = {
  classification: 'classification',
  multilabel_classification: 'multilabel',
  tagging: 'token',
  question_answering: 'span',
}

/** Heads of transformers' own classes that are one linear layer: where their tensors are, what they read. */
const staticHeads: Readonly<Record<string, Pick<HeadPlan, 'kind' | 'pool' | 'tensors'>>> = {
  BertForSequenceClassification: { kind: 'classification', pool: 'pooler', tensors: 'classifier' },
  ...Object.fromEntries(
    ['Bert', 'Roberta', 'XLMRoberta', 'Electra', 'DistilBert'].flatMap((name) => [
      [`${name}ForTokenClassification`, { kind: 'token' as const, pool: 'cls' as const, tensors: 'classifier' }],
      [`${name}ForQuestionAnswering`, { kind: 'span' as const, pool: 'cls' as const, tensors: 'qa_outputs' }],
    ]),
  ),
}

/** @throws InteropError ERR_INTEROP_UNSUPPORTED, ERR_INTEROP_FILE with `details.key` */
export function readHeadConfig(root: Json, file: string): HeadPlan {
  const { config = null } = root
  if (config === null) return readStaticHead(root, file)
  if (!isJson(config)) throw invalid(file, 'config', `"config" is ${show(config)}, expected an object`)
  const { head_type: type, use_pooler: pooled = false, bias = true } = config
  const kind = typeof type === 'string' && Object.hasOwn(kinds, type) ? kinds[type] : undefined
  if (!kind) throw unsupported(file, 'config.head_type', type, Object.keys(kinds).join(', '))
  const ofTokens = kind === 'token' || kind === 'span'
  const { layers = ofTokens ? 1 : 2 } = config
  if (layers !== 1) throw unsupported(file, 'config.layers', layers, '1: the engine has heads of one linear layer')
  for (const [key, value] of Object.entries({ use_pooler: pooled, bias }))
    if (typeof value !== 'boolean')
      throw invalid(file, `config.${key}`, `"config.${key}" is ${show(value)}, expected true or false`)
  const outputs = readCount(config['num_labels'] ?? 2, 'config.num_labels', file)
  return {
    kind: kindOf(kind, outputs),
    pool: pooled ? 'pooler' : 'cls',
    ...readOutputs(kind, outputs, config['label2id'], file),
    tensors: `heads.${readName(root, file)}.1`,
    bias: bias as boolean,
  }
}

function readStaticHead(root: Json, file: string): HeadPlan {
  const { model_class: type } = root
  const head = typeof type === 'string' && Object.hasOwn(staticHeads, type) ? staticHeads[type] : undefined
  if (!head) throw unsupported(file, 'model_class', type, Object.keys(staticHeads).join(', '))
  const labels: unknown = root['label2id'] ?? null
  const byDefault = isJson(labels) ? Object.keys(labels).length : 2
  const outputs = readCount(root['num_labels'] ?? byDefault, 'num_labels', file)
  return { ...head, kind: kindOf(head.kind, outputs), ...readOutputs(head.kind, outputs, labels, file), bias: true }
}

/** The library takes a class alone for a value. */
function kindOf(kind: TaskKind, outputs: number): TaskKind {
  return kind === 'classification' && outputs === 1 ? 'regression' : kind
}

function readOutputs(kind: TaskKind, outputs: number, label2id: unknown, file: string) {
  if (kind === 'span' && outputs !== 2) throw unsupported(file, 'config.num_labels', outputs, '2: start and end')
  const labels = kind === 'span' || outputs === 1 ? undefined : readLabels(label2id, outputs, file)
  return { outputs, ...(labels ? { labels } : {}) }
}

function readCount(value: unknown, key: string, file: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 1_000_000) return value as number
  throw invalid(file, key, `"${key}" is ${show(value)}, expected a whole number from 1`)
}

/** Names by output; ids may be text. Undefined where the file has none. */
function readLabels(label2id: unknown, outputs: number, file: string): readonly string[] | undefined {
  if (label2id === null || label2id === undefined) return undefined
  const entries = isJson(label2id) ? Object.entries(label2id) : []
  const labels = new Array<string | undefined>(outputs).fill(undefined)
  for (const [label, id] of entries) labels[Number(id)] ??= label
  if (entries.length === outputs && labels.length === outputs && labels.every((label) => !!label))
    return labels as string[]
  throw invalid(file, 'config.label2id', `"config.label2id" does not name each of the ${outputs} outputs once`)
}

/** Its tensors by the names of a run; others of the file are left out. @throws InteropError ERR_INTEROP_FILE */
export function fromHubHead(
  source: SourceTensors,
  plan: HeadPlan,
  hidden: number,
  file: string,
): Map<string, FloatTensor> {
  const { outputs, tensors: stem, bias } = plan
  const take = (part: string, shape: readonly number[]) => {
    const name = `${stem}.${part}`
    const tensor = source.get(name)
    const found = tensor ? `is [${tensor.shape.join(', ')}]` : 'is not there'
    if (tensor?.shape.join() !== shape.join())
      throw invalid(file, name, `tensor "${name}" ${found}, expected [${shape.join(', ')}]`)
    return { shape, data: tensor!.floats() }
  }
  return new Map([
    ['head.weight', take('weight', [outputs, hidden])],
    ['head.bias', bias ? take('bias', [outputs]) : { shape: [outputs], data: new Float32Array(outputs) }],
  ])
}

const headTypes: Readonly<Record<TaskKind, string>> = {
  classification: 'classification',
  regression: 'classification',
  multilabel: 'multilabel_classification',
  token: 'tagging',
  span: 'question_answering',
}

export interface WrittenHead extends ModelDescription {
  readonly name: string
  readonly kind: TaskKind
  readonly outputs: number
  readonly labels?: readonly string[] | undefined
  readonly usePooler: boolean
}

/** The JSON of a head of one linear layer. */
export function encodeHeadConfig(head: WrittenHead): string {
  const { name, kind, outputs, labels, usePooler } = head
  const ofTexts = kind !== 'token' && kind !== 'span'
  return encodeConfig(head, name, {
    head_type: headTypes[kind],
    num_labels: outputs,
    layers: 1,
    activation_function: null,
    label2id: labels ? Object.fromEntries(labels.map((label, id) => [label, id])) : null,
    dropout_prob: null,
    // Heads of tokens are built without these arguments, and refuse them.
    ...(ofTexts ? { use_pooler: usePooler, bias: true } : {}),
  })
}

/** Tensors of a head as the library calls them. */
export function toHubHead(weight: FloatTensor, bias: FloatTensor, name: string): Map<string, FloatTensor> {
  return new Map([
    [`heads.${name}.1.weight`, weight],
    [`heads.${name}.1.bias`, bias],
  ])
}
