/** In which numbers a device computes. */
import { OptionError } from '../errors.js'
import { checkChoice } from '../options.js'

export const precisions = ['auto', 'float32', 'tf32', 'bfloat16'] as const
/**
 * - `float32`: everything, on every device.
 * - `tf32`, on GPUs: matrix products read their operands with 10 bits behind the binary point, and add in float32.
 * - `bfloat16`, on GPUs: activations and frozen weights are stored in bf16, in half the memory, and products read them so.
 *   Sums, statistics, losses, trained parameters, their gradients and the optimizer are float32.
 * - `auto`: bfloat16 on a GPU, float32 on the CPU.
 */
export type Precision = (typeof precisions)[number]
export type ResolvedPrecision = Exclude<Precision, 'auto'>

/** What a CPU has no arithmetic for. */
const gpuPrecisions: readonly Precision[] = ['tf32', 'bfloat16']

/**
 * What can be told of the options alone.
 * @throws OptionError ERR_OPTION for what is no precision, and for one that the CPU has not where the device is the CPU
 */
export function checkPrecision(precision: unknown, device: unknown): void {
  const chosen = checkChoice('precision', precision, precisions)
  if (device === 'cpu') resolvePrecision(chosen, 'cpu')
}

/**
 * @param reason why there is no GPU, where the device was chosen for the user
 * @throws OptionError ERR_OPTION for one that the CPU has not
 */
export function resolvePrecision(precision: Precision, kind: 'cpu' | 'cuda', reason = ''): ResolvedPrecision {
  if (kind === 'cuda') return precision === 'auto' ? 'bfloat16' : precision
  if (!gpuPrecisions.includes(precision)) return 'float32'
  throw new OptionError(
    'ERR_OPTION',
    `option "precision" is ${precision}, which needs a GPU, but option "device" is the CPU` +
      `${reason === '' ? '' : `, as cuda cannot be used: ${reason}`}: ` +
      'leave option "precision" out, as the CPU computes in float32, or set option "device" to cuda',
    { option: 'precision', got: precision, expected: 'auto or float32 on the CPU' },
  )
}
