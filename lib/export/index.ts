import { onnxAdapter, onnxInputs } from './inputs.js'
import { onnx } from './onnx.js'
import type { ExportTarget } from './target.js'
import { transformersJs } from './transformers_js.js'

/** Every target by its name. */
export const exportTargets: readonly ExportTarget[] = [onnx, onnxInputs, onnxAdapter, transformersJs]

export const exportTargetNames: readonly string[] = exportTargets.map(({ name }) => name)
