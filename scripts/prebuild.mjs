// Builds the addon that the packed package carries for this platform: prebuilds/<platform>-<arch>/onnx_adapters.node. It
// brings its C++ runtime along. `--glibc 2.28` fails when it asks for a newer C library than that.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { addonName, buildFolder, compileAddon, loadFailure, missingTools, prebuiltFile, root } from './native.mjs'

function fail(message) {
  console.error(`prebuild: ${message}`)
  process.exit(1)
}

function main() {
  const flag = process.argv.indexOf('--glibc')
  const oldest = flag < 0 ? undefined : process.argv[flag + 1]
  const missing = missingTools()
  if (missing.length > 0) fail(missing.join('\n'))
  const folder = join(buildFolder, 'prebuild')
  if (!compileAddon({ OA_STATIC_RUNTIME: 'ON' }, folder)) fail('compiling failed; the compiler output is above')
  const built = join(folder, 'Release', addonName)
  const failure = loadFailure(built)
  if (failure) fail(`the addon does not load: ${failure}`)
  if (oldest) checkGlibc(built, oldest)
  mkdirSync(dirname(prebuiltFile()), { recursive: true })
  copyFileSync(built, prebuiltFile())
  console.log(`prebuild: ${relative(root, prebuiltFile())}, ${statSync(prebuiltFile()).size} bytes`)
}

/** Compares the versions that the addon's symbols ask for. */
function checkGlibc(file, oldest) {
  const { status, stdout, error } = spawnSync('objdump', ['-T', file], { encoding: 'utf8' })
  if (status !== 0) fail(`objdump could not read ${file}${error ? `: ${error.message}` : ''}`)
  const foreign = [...new Set(stdout.match(/\b(?:GLIBCXX|CXXABI)_[\d.]+/g))]
  if (foreign.length > 0) fail(`needs the C++ runtime of the machine: ${foreign.join(', ')}`)
  const newer = [...new Set(stdout.match(/\bGLIBC_[\d.]+/g))].filter((name) => isNewer(name.slice(6), oldest))
  if (newer.length > 0) fail(`needs ${newer.join(', ')}; the oldest promised is ${oldest}`)
}

function isNewer(version, than) {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number))
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0)
  }
  return false
}

main()
