/** The Python that ONNX_ADAPTERS_PYTHON names, for tests that ask other libraries. */
import { spawnSync } from 'node:child_process'

export const python = process.env['ONNX_ADAPTERS_PYTHON']

/** Why a test cannot run that needs a module of it; undefined where it is there. */
export function lacksModule(name: string): string | undefined {
  if (python === undefined) return `ONNX_ADAPTERS_PYTHON names no Python with ${name}`
  const { status } = spawnSync(python, ['-c', `import ${name}`])
  return status === 0 ? undefined : `the Python of ONNX_ADAPTERS_PYTHON has no ${name}`
}
