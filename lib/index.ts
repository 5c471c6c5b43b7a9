/** The public names of the package. */

export type { DropoutRates } from './adapters/apply_dropout.js'
export type { AdapterOptions } from './adapters/houlsby.js'
export type { Trainable, TrainablePart } from './adapters/trainable.js'
export { Backbone, type EncoderOptions } from './backbone/backbone.js'
export { convertWeights, type Conversion, type ConvertOptions } from './backbone/convert.js'
export { fetchBackbone, type FetchOptions } from './backbone/fetch.js'
export { inspect, type Inspection, type InspectOptions } from './backbone/inspect.js'
export { loadBackbone, type LoadBackboneOptions } from './backbone/load.js'
export type { Family } from './backbone/convert/config.js'
export type { FetchedBackbone } from './backbone/origin.js'
export type { FetchEvent, FetchListener } from './backbone/progress.js'
export type { Verification } from './backbone/verify.js'
export type {
  AnswerInput,
  Columns,
  DataSource,
  ExampleInput,
  Place,
  QuestionInput,
  TextInput,
  WordsInput,
} from './data/example.js'
export type { TokenRow } from './data/pack.js'
export type {
  AnswerSpan,
  ClassificationOptions,
  MultilabelOptions,
  RegressionOptions,
  Scores,
  SpanOptions,
  TaskOptions,
  TokenOptions,
} from './data/tasks/index.js'
export type { EncodedText, EncodeOptions, Tokenizer } from './data/tokenize.js'
export type { TextTokens } from './data/tokenizer/offsets.js'
export * from './errors.js'
export { exportRun, type ExportResult } from './export/export.js'
export type { ExportOptions } from './export/options.js'
export type { ExportReport } from './export/target.js'
export { readOnnxAdapter, writeOnnxAdapter, type AdapterTensor, type AdapterTensors } from './formats/onnx_adapter.js'
export type { TaskKind } from './kinds.js'
export type { Device } from './runtime/device.js'
export type { Precision } from './runtime/precision.js'
export type { Architecture, EncoderConfig } from './onnx/import.js'
export {
  Predictor,
  type Prediction,
  type PredictInput,
  type PredictOptions,
  type PredictorMemory,
  type PredictorOptions,
} from './predict/predictor.js'
export type { Rows } from './train/batch.js'
export { evaluate, type EvaluateOptions, type Evaluation } from './train/evaluate.js'
export type { Encoder } from './train/encoder.js'
export type { BestEpoch, EpochRecord, Throughput } from './train/fit.js'
export type { Labels } from './train/labels.js'
export type { OpenRunOptions } from './train/open_run.js'
export type { OptimizerOptions } from './train/optimizer.js'
export type { ParameterCount, ProgressEvent, ProgressListener, Running, Warning } from './train/progress.js'
export type { Tensor, TensorMap } from './train/tensors.js'
export { train, type TrainResult } from './train/train.js'
export type { TrainOptions } from './train/train_options.js'
export { Trainer, type LabelledRows, type StepOptions, type StepResult } from './train/trainer.js'
export type { TrainerOptions, TrainerTask } from './train/trainer_options.js'
