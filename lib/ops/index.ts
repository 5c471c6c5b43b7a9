import { DeviceError, ShapeError } from '../errors.js'
import { adamw } from './adamw.js'
import { adapter, adapterBackward } from './adapter.js'
import { add } from './add.js'
import { attention, attentionBackward } from './attention.js'
import { bce, bceBackward } from './bce.js'
import { cast } from './cast.js'
import { crossEntropy, crossEntropyBackward } from './cross_entropy.js'
import { attributeSignature, operandSignature, type OpDef } from './define.js'
import { dropout } from './dropout.js'
import { embedding, embeddingBackward } from './embedding.js'
import { gradNorm } from './grad_norm.js'
import { layerNorm, layerNormBackward } from './layer_norm.js'
import { linear, linearDw, linearDx } from './linear.js'
import { mse, mseBackward } from './mse.js'
import { mul } from './mul.js'
import { pool, poolBackward } from './pool.js'
import { residualLayerNorm, residualLayerNormBackward } from './residual_layer_norm.js'
import { span, spanBackward } from './span.js'

/** Every op, in the order of their codes. */
export const ops: readonly OpDef[] = [
  embedding,
  embeddingBackward,
  layerNorm,
  layerNormBackward,
  residualLayerNorm,
  residualLayerNormBackward,
  linear,
  linearDx,
  linearDw,
  attention,
  attentionBackward,
  adapter,
  adapterBackward,
  dropout,
  add,
  mul,
  pool,
  poolBackward,
  crossEntropy,
  crossEntropyBackward,
  mse,
  mseBackward,
  bce,
  bceBackward,
  span,
  spanBackward,
  gradNorm,
  adamw,
  cast,
]

const byName = new Map(ops.map((op) => [op.name, op]))

/** @throws {ShapeError} for a name that is not in the registry: a bug of whoever made the node */
export function opByName(name: string): OpDef {
  const op = byName.get(name)
  if (!op) throw new ShapeError(`there is no op "${name}"`, { op: name })
  return op
}

/** One row of the addon's own list, as `describe().ops` gives it. */
export interface NativeOp {
  readonly code: number
  readonly name: string
  readonly operands: string
  readonly attributes: string
}

/**
 * Compares this registry with the addon's list: same codes, operands and attributes, or programs would be misread.
 * @throws {DeviceError} ERR_ADDON listing every difference; `details.differences`
 */
export function compareOpTables(native: readonly NativeOp[]): void {
  const differences: string[] = []
  const theirs = new Map(native.map((op) => [op.name, op]))
  for (const op of ops) {
    const other = theirs.get(op.name)
    const mine = signature({
      code: op.code,
      name: op.name,
      operands: operandSignature(op),
      attributes: attributeSignature(op),
    })
    if (!other) differences.push(`${op.name} is not in the addon`)
    else if (signature(other) !== mine) differences.push(`${mine} here, ${signature(other)} in the addon`)
  }
  for (const op of native) if (!byName.has(op.name)) differences.push(`${op.name} is only in the addon`)
  if (differences.length === 0) return
  throw new DeviceError(
    'ERR_ADDON',
    `the native addon was built from another version of this package: ${differences.join('; ')}. Build it again: npx onnx-adapters build`,
    { differences },
  )
}

function signature(op: NativeOp): string {
  return `${op.code} ${op.name}: ${op.operands} (${op.attributes})`
}
