// Looks for a CUDA toolkit and for the GPUs to compile for.
import { existsSync, readdirSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const oldest = [12, 4]

/**
 * The toolkit to build with: `{ nvcc, version, archs }`, or `{ reason }` where there is none or ONNX_ADAPTERS_CUDA is
 * `off`. `auto` (the default) and `on` look at the same places.
 */
export function findToolkit(environment = process.env) {
  const choice = environment.ONNX_ADAPTERS_CUDA ?? 'auto'
  if (!['auto', 'on', 'off'].includes(choice))
    return { reason: `ONNX_ADAPTERS_CUDA=${choice}: expected auto, on or off`, wrong: true }
  if (choice === 'off') return { reason: 'ONNX_ADAPTERS_CUDA=off' }
  const rejected = []
  for (const nvcc of candidates(environment)) {
    const version = versionOf(nvcc)
    if (version === undefined) continue
    if (isOlder(version, oldest))
      rejected.push(`${nvcc} is CUDA ${version.join('.')}, ${oldest.join('.')} or later is needed`)
    else return { nvcc, version: version.join('.'), archs: architectures(environment) }
  }
  const sought = 'PATH, CUDAToolkit_ROOT, CUDA_HOME, CUDA_PATH, /usr/local/cuda and the packages of pip'
  return {
    reason: rejected.length > 0 ? rejected.join('; ') : `no nvcc was found (sought in ${sought})`,
    wrong: choice === 'on',
  }
}

function candidates(environment) {
  const roots = [environment.CUDAToolkit_ROOT, environment.CUDA_HOME, environment.CUDA_PATH, '/usr/local/cuda']
  const named = roots.filter(Boolean).map((root) => join(root, 'bin', 'nvcc'))
  const inPath = (environment.PATH ?? '')
    .split(':')
    .filter(Boolean)
    .map((folder) => join(folder, 'nvcc'))
  return [...named.slice(0, -1), ...inPath, ...named.slice(-1), ...installedByPip(environment)].filter((file) =>
    existsSync(file),
  )
}

/** nvcc of the packages nvidia-cuda-nvcc and its companions, in the virtual environment that is active. */
function installedByPip(environment) {
  const base = environment.VIRTUAL_ENV && join(environment.VIRTUAL_ENV, 'lib')
  if (!base || !existsSync(base)) return []
  return readdirSync(base)
    .filter((name) => name.startsWith('python'))
    .flatMap((name) => {
      const nvidia = join(base, name, 'site-packages', 'nvidia')
      return existsSync(nvidia) ? readdirSync(nvidia).map((part) => join(nvidia, part, 'bin', 'nvcc')) : []
    })
}

function versionOf(nvcc) {
  const run = spawnSync(nvcc, ['--version'], { encoding: 'utf8' })
  const match = run.status === 0 ? /release (\d+)\.(\d+)/.exec(run.stdout) : null
  return match ? [Number(match[1]), Number(match[2])] : undefined
}

function isOlder([major, minor], [leastMajor, leastMinor]) {
  return major < leastMajor || (major === leastMajor && minor < leastMinor)
}

/** ONNX_ADAPTERS_CUDA_ARCHS (`80,90`), else those of the GPUs here, else sm_80, which later GPUs run through PTX. */
function architectures(environment) {
  const given = environment.ONNX_ADAPTERS_CUDA_ARCHS
  if (given) return given.split(/[,; ]+/).filter(Boolean)
  const run = spawnSync('nvidia-smi', ['--query-gpu=compute_cap', '--format=csv,noheader'], { encoding: 'utf8' })
  const found = run.status === 0 ? run.stdout.match(/\d+\.\d+/g) : null
  const archs = [...new Set((found ?? []).map((text) => text.replace('.', '')))].filter((arch) => Number(arch) >= 80)
  return archs.length > 0 ? archs.sort((a, b) => Number(a) - Number(b)) : ['80']
}
