import type { Tensor } from '../train/tensors.js'
import type { ExportedRun } from './target.js'

/**
 * The head's tensors for programs that know nothing of ranges: a regression learns values scaled to [0, 1], and here
 * gives them in the units of its training data.
 */
export function scaledHead({ tensors, record }: ExportedRun): { readonly weight: Tensor; readonly bias: Tensor } {
  const [weight, bias] = [tensors.get('head.weight')!, tensors.get('head.bias')!]
  const { kind, minimum, maximum } = record.task as unknown as { kind: string; minimum: number; maximum: number }
  if (kind !== 'regression') return { weight, bias }
  const range = maximum - minimum
  return {
    weight: { ...weight, data: weight.data.map((value) => value * range) },
    bias: { ...bias, data: bias.data.map((value) => value * range + minimum) },
  }
}
