/** All mutations, and models changed by several of them one after the other. */
import type { OnnxModel } from '../../../lib/onnx/schema.js'
import { arithmetic } from './arithmetic.js'
import { cast } from './cast.js'
import { commute } from './commute.js'
import { constants } from './constants.js'
import { Draft, type Mutation } from './draft.js'
import { dropout } from './dropout.js'
import { einsum } from './einsum.js'
import { functions } from './functions.js'
import { gelu } from './gelu.js'
import { identity } from './identity.js'
import { layerNorm } from './layer_norm.js'
import { linear } from './linear.js'
import { mask } from './mask.js'
import { names } from './names.js'
import { opset } from './opset.js'
import { order } from './order.js'
import { qkv } from './qkv.js'
import { regroup } from './regroup.js'
import { reshape } from './reshape.js'
import { scales } from './scales.js'
import { transposes } from './transposes.js'
import { unused } from './unused.js'
import { views } from './views.js'

export type { Mutation }

export const mutations: readonly Mutation[] = [
  arithmetic,
  cast,
  commute,
  constants,
  dropout,
  einsum,
  functions,
  gelu,
  identity,
  layerNorm,
  linear,
  mask,
  names,
  opset,
  order,
  qkv,
  regroup,
  reshape,
  scales,
  transposes,
  unused,
  views,
]

export interface Mutated {
  readonly model: OnnxModel
  /** Places changed. */
  readonly count: number
}

/** @param seed draws places and forms */
export function mutate(model: OnnxModel, chosen: readonly Mutation[], seed: number): Mutated {
  const draft = new Draft(model, seed)
  let count = 0
  for (const mutation of chosen) {
    count += mutation.apply(draft)
    if (mutation.name !== 'order') draft.sort()
  }
  return { model: draft.model, count }
}

/** Some mutations in some order, by a seed. */
export function stackOf(seed: number, length: number): Mutation[] {
  const draft = new Draft({ opsetImport: [], metadataProps: [], functions: [], graph: emptyGraph }, seed)
  return Array.from({ length }, () => draft.pick(mutations))
}

const emptyGraph = { node: [], initializer: [], input: [], output: [], valueInfo: [] }
