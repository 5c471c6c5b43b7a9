import { TrainError } from '../errors.js'
import type { ParameterLayout, ParameterView } from '../plan/layout.js'
import type { Session } from '../runtime/session.js'
import { ownedViews } from './task_model.js'

/** A step whose loss or gradient is no finite number. */
export interface FailedStep {
  /** Counted from 1. */
  readonly step: number
  readonly loss: number
  readonly gradientNorm: number
  readonly learningRate: number
}

interface BadTensor {
  readonly kind: 'parameter' | 'gradient'
  readonly name: string
  readonly value: number
}

/**
 * The error for a failed step: which number is wrong, the first tensor that is to blame, what to do.
 * @returns TrainError ERR_TRAIN_LOSS, or ERR_TRAIN_GRADIENT where the loss is finite; `details.step`, `details.parameter`
 * or `details.gradient`
 */
export async function notFinite(session: Session, layout: ParameterLayout, failed: FailedStep): Promise<TrainError> {
  const { step, loss, gradientNorm } = failed
  const bad = await firstBadTensor(session, layout).catch(() => undefined) // disposed meanwhile: then without it
  const lossIsBad = !Number.isFinite(loss)
  const what = lossIsBad ? `the loss is ${loss}` : `the norm of the gradients is ${gradientNorm}`
  const where = bad
    ? `; ${bad.kind === 'gradient' ? 'the gradient of' : 'parameter'} "${bad.name}" holds ${bad.value}`
    : ''
  return new TrainError(
    lossIsBad ? 'ERR_TRAIN_LOSS' : 'ERR_TRAIN_GRADIENT',
    `step ${step}: ${what}${where}. ${advice(bad, failed)}`,
    { ...failed, ...(bad && { [bad.kind]: bad.name }) },
  )
}

function advice(bad: BadTensor | undefined, { gradientNorm, learningRate }: FailedStep): string {
  const rate = `(this step's is ${learningRate})`
  if (bad?.kind === 'parameter')
    return `An earlier step, or setParameters, left it so: start again with a smaller learning rate ${rate}`
  // Only a norm that is not finite holds the optimizer back.
  return Number.isFinite(gradientNorm)
    ? `The parameters were updated all the same: go back to an earlier state, try a smaller learning rate ${rate}, and look at this batch`
    : `The step changed nothing; try a smaller learning rate ${rate}, and look at this batch`
}

async function firstBadTensor(session: Session, layout: ParameterLayout): Promise<BadTensor | undefined> {
  const [parameters, gradients] = await Promise.all([session.read('parameters'), session.read('gradients')])
  return firstBad('parameter', parameters, ownedViews(layout)) ?? firstBad('gradient', gradients, layout.trained)
}

function firstBad(kind: BadTensor['kind'], flat: Float32Array, views: readonly ParameterView[]): BadTensor | undefined {
  for (const { name, offset, length } of views) {
    const value = flat.subarray(offset, offset + length).find((each) => !Number.isFinite(each))
    if (value !== undefined) return { kind, name, value }
  }
  return undefined
}
