/**
 * Every error of the package: one class per stage, a stable `code`, structured `details`. Messages say what is wrong,
 * where, what was expected, and what to do.
 */

export type ErrorDetails = Readonly<Record<string, unknown>>

export class OnnxAdaptersError extends Error {
  /** Stable: programs may compare it. */
  readonly code: string
  /** Structured facts behind the message; what they are depends on the code. */
  readonly details: ErrorDetails

  constructor(code: string, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    this.details = details
  }
}

/** A wrong option or argument: `ERR_OPTION` and relatives; `details.option`. */
export class OptionError extends OnnxAdaptersError {}

/** A file that is not, or not wholly, a model that can be imported: `ERR_ONNX_*`; `details.node`, `details.expected`. */
export class OnnxImportError extends OnnxAdaptersError {}

/** Bringing a backbone by name, or making one of published weights: `ERR_BACKBONE_*`; `details.name`, `details.file`. */
export class BackboneError extends OnnxAdaptersError {}

/** Operands of an op do not fit together: `ERR_SHAPE`; `details.node`, `details.op`. A bug of a pass, or a strange model. */
export class ShapeError extends OnnxAdaptersError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('ERR_SHAPE', message, details)
  }
}

/** A graph breaks the laws of its stage, or cannot be planned: `ERR_PLAN`, `ERR_GRAPH`. */
export class PlanError extends OnnxAdaptersError {}

/** The addon, a device or a session: `ERR_ADDON`, `ERR_DEVICE`, `ERR_BUSY`, `ERR_DISPOSED`, `ERR_MEMORY`. */
export class DeviceError extends OnnxAdaptersError {}

/** Training data: `ERR_DATA_*`; `details.file`, `details.row`, `details.field`. */
export class DataError extends OnnxAdaptersError {}

/** Training itself: `ERR_TRAIN_*` (a loss or gradient that is not finite names the step and the first bad tensor). */
export class TrainError extends OnnxAdaptersError {}

/** Files of a run: `ERR_RUN_*`. */
export class RunError extends OnnxAdaptersError {}

/** Taking a run elsewhere: `ERR_EXPORT_*`; `details.run`, `details.file`. */
export class ExportError extends OnnxAdaptersError {}
