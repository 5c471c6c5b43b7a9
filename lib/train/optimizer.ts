import { checkKeys, checkNumber, checkChoice, wrongOption } from '../options.js'

/** No learning rate may be above this: kernels work in float32. */
export const largestFloat = 3.4028234663852886e38

/** AdamW (Loshchilov & Hutter 2019). */
export interface OptimizerOptions {
  /** @default 'adamw' */
  readonly name?: 'adamw'
  /** Decay of both moments, each in [0, 1). @default [0.9, 0.999] */
  readonly betas?: readonly [number, number]
  /** Above 0. @default 1e-8 */
  readonly epsilon?: number
  /** Decoupled, on matrices and tables only; 0 or more. @default 0.01 */
  readonly weightDecay?: number
  /** Off: google-research/bert's Adam. @default true */
  readonly biasCorrection?: boolean
  /** Largest global norm of the gradients; 0: no clipping. @default 1 */
  readonly clipNorm?: number
}

export interface Optimizer {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  readonly biasCorrection: boolean
  readonly clipNorm: number
}

/** Fills in defaults. @throws {OptionError} ERR_OPTION */
export function resolveOptimizer(options: OptimizerOptions = {}): Optimizer {
  checkKeys('optimizer', options, ['name', 'betas', 'epsilon', 'weightDecay', 'biasCorrection', 'clipNorm'])
  const {
    name = 'adamw',
    betas = [0.9, 0.999],
    epsilon = 1e-8,
    weightDecay = 0.01,
    biasCorrection = true,
    clipNorm = 1,
  } = options
  checkChoice('optimizer.name', name, ['adamw'])
  if (!Array.isArray(betas) || betas.length !== 2) throw wrongOption('optimizer.betas', 'two numbers', betas)
  if (typeof biasCorrection !== 'boolean')
    throw wrongOption('optimizer.biasCorrection', 'true or false', biasCorrection)
  const [beta1, beta2] = (betas as [number, number]).map((beta) =>
    checkNumber('optimizer.betas', beta, { least: 0, below: 1 }),
  ) as [number, number]
  return {
    beta1,
    beta2,
    epsilon: checkNumber('optimizer.epsilon', epsilon, { above: 0 }),
    weightDecay: checkNumber('optimizer.weightDecay', weightDecay, { least: 0 }),
    biasCorrection,
    clipNorm: checkNumber('optimizer.clipNorm', clipNorm, { least: 0 }),
  }
}
