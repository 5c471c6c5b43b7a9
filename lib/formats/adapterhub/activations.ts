/** What the `adapters` library calls activations, and what the engine does. */

/** Written names; the file says its version, without which "gelu" would mean the tanh form. */
const written = { gelu_tanh: 'gelu_new', gelu: 'gelu', relu: 'relu', silu: 'swish', tanh: 'tanh' } as const
export type ActivationName = keyof typeof written

const read = new Map<string, ActivationName>([
  ['gelu_new', 'gelu_tanh'],
  ['gelu_fast', 'gelu_tanh'],
  ['gelu_accurate', 'gelu_tanh'],
  ['gelu_pytorch_tanh', 'gelu_tanh'],
  ['gelu_python_tanh', 'gelu_tanh'],
  ['gelu', 'gelu'],
  ['gelu_python', 'gelu'],
  ['relu', 'relu'],
  ['swish', 'silu'],
  ['silu', 'silu'],
  ['tanh', 'tanh'],
])

/** Names of files without a version, of libraries before 2.0, in which "gelu" was the tanh form. */
const renamed = new Map([
  ['gelu', 'gelu_new'],
  ['gelu_orig', 'gelu'],
])

/** Undefined for an activation that the engine lacks. */
export function readActivation(name: string, hasVersion: boolean): ActivationName | undefined {
  return read.get(((hasVersion ? undefined : renamed.get(name)) ?? name).toLowerCase())
}

export function writeActivation(name: ActivationName): string {
  return written[name]
}
