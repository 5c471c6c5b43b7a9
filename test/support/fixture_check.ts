/** One shared fixture through the public door: what the engine makes of it, or how it was refused, against golden.json. */
import { dirname } from 'node:path'
import { loadBackbone, OnnxAdaptersError } from '../../lib/index.js'
import type { Fixture, Golden, GoldenBatch } from './onnx_fixtures.js'

export interface Outcome {
  readonly expected: boolean
  /** One line: imported with its largest difference, or refused with its error. */
  readonly text: string
}

type Backbone = Awaited<ReturnType<typeof loadBackbone>>
type Encoder = Awaited<ReturnType<Backbone['encoder']>>

/** What of golden.json this looks at. */
export type Expectation = Pick<Golden, 'expectation' | 'reason' | 'tolerance' | 'batches'>

/** What golden.json gives as the reason of a refusal, and the error that says so. */
const refusals: readonly { readonly reason: RegExp; readonly code: string; readonly message: RegExp }[] = [
  { reason: /causal/, code: 'ERR_ONNX_CAUSAL', message: /causal|decoder/ },
  { reason: /quantised/, code: 'ERR_ONNX_QUANTIZED', message: /quantised weights/ },
  { reason: /relative/, code: 'ERR_ONNX_UNSUPPORTED', message: /relative/ },
  { reason: /head/, code: 'ERR_ONNX_UNSUPPORTED', message: /head/ },
]

export async function checkFixture({ model }: Fixture, golden: Expectation): Promise<Outcome> {
  let backbone: Backbone
  try {
    backbone = await loadBackbone(dirname(model), { verify: false })
  } catch (error) {
    return judgeRefusal(error, golden)
  }
  const batches = golden.batches.filter((batch) => canRun(batch, backbone))
  const encoder = await backbone.encoder({ device: 'cpu', threads: 1 })
  try {
    return await judgeImport(encoder, batches, golden)
  } finally {
    await encoder.dispose()
  }
}

function judgeRefusal(error: unknown, { expectation, reason }: Expectation): Outcome {
  if (!(error instanceof OnnxAdaptersError)) return { expected: false, text: `failed: ${String(error)}` }
  const { code, message } = error
  const wanted = refusals.find((refusal) => refusal.reason.test(reason))
  const fits = expectation !== 'import' && wanted?.code === code && wanted.message.test(message)
  const text = `refused, ${code}: ${message}`
  return fits ? { expected: true, text } : { expected: false, text: `${text} (expected: ${expectation}, "${reason}")` }
}

async function judgeImport(
  encoder: Encoder,
  batches: readonly GoldenBatch[],
  { expectation, tolerance, reason }: Expectation,
): Promise<Outcome> {
  let largest = batches.length ? 0 : NaN
  for (const batch of batches) {
    const difference = await largestDifference(encoder, batch)
    // A NaN must stay one.
    if (!(difference <= largest)) largest = difference
  }
  const names = batches.map(({ name }) => name).join(', ')
  const text = `imported, largest difference ${largest.toExponential(1)} (${names})`
  if (expectation === 'reject') return { expected: false, text: `${text}, expected a refusal: "${reason}"` }
  const fits = tolerance !== null && largest <= tolerance
  return fits ? { expected: true, text } : { expected: false, text: `${text}, allowed ${tolerance}` }
}

/**
 * The engine gets real tokens only. That is the same computation where padding comes last, and for other padding where
 * positions do not count it.
 */
function canRun(batch: GoldenBatch, { config }: Backbone): boolean {
  if (batch.padding === 'none' || batch.padding === 'right') return true
  const { pad } = config
  if (pad === undefined || !batch.attention_mask) return false
  return batch.input_ids.every((row, i) => row.every((id, t) => (batch.attention_mask![i]![t] === 0) === (id === pad)))
}

/** Over the real tokens of a batch. */
async function largestDifference(encoder: Encoder, batch: GoldenBatch): Promise<number> {
  const real = batch.input_ids.map((ids, i) =>
    [...ids.keys()].filter((t) => (batch.attention_mask?.[i]?.[t] ?? 1) === 1),
  )
  const pick = (rows: readonly (readonly number[])[]) => rows.map((row, i) => real[i]!.map((t) => row[t]!))
  const rows = await encoder.encode({
    inputIds: pick(batch.input_ids),
    ...(batch.token_type_ids && { tokenTypeIds: pick(batch.token_type_ids) }),
  })
  let largest = 0
  rows.forEach((row, i) => {
    const width = row.length / real[i]!.length
    for (const [position, truth] of storedRows(batch, i)) {
      const place = real[i]!.indexOf(position)
      if (place < 0) continue
      truth.forEach((value, c) => {
        const difference = Math.abs(row[place * width + c]! - value)
        if (!(difference <= largest)) largest = difference
      })
    }
  })
  return largest
}

/** The hidden states that the file has of one sequence, by position; a batch of one may leave the batch axis out. */
function storedRows(batch: GoldenBatch, row: number): [number, readonly number[]][] {
  const { last_hidden_state: all, positions, last_hidden_state_at_positions: some } = batch
  if (all) return [...all[row]!.entries()]
  const stored = typeof some![0]![0] === 'number' ? (some as unknown as readonly (readonly number[])[]) : some![row]!
  return positions!.map((position, i) => [position, stored[i]!])
}
