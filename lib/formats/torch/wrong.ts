import { InteropError, type ErrorDetails } from '../../errors.js'

/** Makes the error for what is wrong with a file. */
export type Wrong = (what: string, details?: ErrorDetails) => InteropError

/** @param file its name, for messages */
export function wrongTorchFile(file: string): Wrong {
  return (what, details = {}) =>
    new InteropError('ERR_TORCH_FILE', `${file}: not a file of tensors as torch.save writes it: ${what}`, {
      file,
      ...details,
    })
}
