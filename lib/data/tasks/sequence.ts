import type { Example } from '../example.js'
import type { Tokenizer } from '../tokenize.js'
import type { EncodedRow, ExampleOutputs, Target } from './task.js'

/** The one row of a task about whole sequences: a text, or two, cut longest-first. */
export function encodeSequence(
  { text, textPair }: Example,
  tokenizer: Tokenizer,
  maxLength: number,
  target: Target | undefined,
): readonly EncodedRow[] {
  return [{ ...tokenizer.encode(text, textPair, { maxLength }), target }]
}

/** What the head gave for the one row of an example: f32[outputs]. */
export function sequenceOutput({ outputs }: ExampleOutputs): Float32Array {
  return outputs[0]!
}

/** The target of the one row of a labelled example. */
export function sequenceTarget({ rows }: ExampleOutputs): Target {
  return rows[0]!.target!
}
