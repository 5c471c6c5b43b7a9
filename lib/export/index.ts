import { adapterhub } from './adapterhub.js'
import { onnx } from './onnx.js'
import type { ExportTarget } from './target.js'

/** Every target by its name. */
export const exportTargets: readonly ExportTarget[] = [onnx, adapterhub]

export const exportTargetNames: readonly string[] = exportTargets.map(({ name }) => name)
