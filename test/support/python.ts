/** The real Python libraries, where ONNX_ADAPTERS_PYTHON names an interpreter that has them. */
import { spawn, spawnSync } from 'node:child_process'
import { packagePath } from './shared.js'

const interpreter = process.env['ONNX_ADAPTERS_PYTHON'] ?? ''

/** Why a test of these modules cannot run; undefined where they are all there. */
export function lacksPython(...modules: readonly string[]): string | undefined {
  if (interpreter === '') return `ONNX_ADAPTERS_PYTHON names no interpreter with ${modules.join(', ')}`
  const find = `import importlib.util, sys; print(*[m for m in sys.argv[1:] if importlib.util.find_spec(m) is None])`
  const { status, stdout, error } = spawnSync(interpreter, ['-c', find, ...modules], { encoding: 'utf8' })
  if (status !== 0) return `${interpreter} does not run${error ? `: ${error.message}` : ''}`
  return stdout.trim() === '' ? undefined : `${interpreter} lacks ${stdout.trim()}`
}

/** Results of jobs of test/interop/libraries.py, in their order. */
export function runJobs(jobs: readonly object[]): Promise<number[][][]> {
  return new Promise((done, fail) => {
    const child = spawn(interpreter, [packagePath('test', 'interop', 'libraries.py')])
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
    child.once('error', fail)
    child.once('close', (code) => {
      if (code === 0) done(JSON.parse(text.stdout) as number[][][])
      else fail(new Error(`libraries.py ended with ${code}: ${text.stderr.slice(-3000)}`))
    })
    child.stdin.end(JSON.stringify(jobs))
  })
}
