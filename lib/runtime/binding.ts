/** The only file that loads the native addon. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { DeviceError } from '../errors.js'
import type { NativeAddon, NativeDescription } from './native-types.js'

const packageName = 'onnx-adapters'
const addonName = 'onnx_adapters.node'
let loaded: NativeAddon | undefined
let loadedFrom: string | undefined

/**
 * The addon: the file that ONNX_ADAPTERS_ADDON names, else an own build, else a prebuilt one. Loaded at the first call.
 * @throws DeviceError ERR_ADDON with what was tried, why it failed, and the ways out
 */
export function addon(): NativeAddon {
  return (loaded ??= load(candidates()))
}

/** What this install can do: see `NativeDescription`. @throws DeviceError ERR_ADDON */
export function describe(): NativeDescription {
  return addon().describe()
}

/** The file that `addon` came from; undefined before it was loaded. */
export function addonPath(): string | undefined {
  return loadedFrom
}

/** The folder of this package's package.json. The compiled file may lie at any depth (dist, dist-test/lib). */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!isPackageRoot(folder)) {
    const parent = dirname(folder)
    if (parent === folder)
      throw new DeviceError('ERR_ADDON', `package.json of ${packageName} was not found above ${import.meta.url}`)
    folder = parent
  }
  return folder
}

function isPackageRoot(folder: string): boolean {
  const file = join(folder, 'package.json')
  if (!existsSync(file)) return false
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'))
  return typeof content === 'object' && content !== null && 'name' in content && content.name === packageName
}

function candidates(): string[] {
  const forced = process.env['ONNX_ADAPTERS_ADDON']
  if (forced) return [resolve(forced)]
  const root = packageRoot()
  return [
    join(root, 'build', 'Release', addonName),
    join(root, 'prebuilds', `${process.platform}-${process.arch}`, addonName),
  ]
}

function load(files: readonly string[]): NativeAddon {
  const require = createRequire(import.meta.url)
  const attempts: string[] = []
  let cause: unknown
  for (const file of files) {
    if (!existsSync(file)) {
      attempts.push(`${file}: no such file`)
      continue
    }
    try {
      const module = require(file) as NativeAddon
      loadedFrom = file
      return module
    } catch (error) {
      cause = error
      attempts.push(`${file}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new DeviceError('ERR_ADDON', explain(attempts), { attempts }, { cause })
}

function explain(attempts: readonly string[]): string {
  return [
    `the native addon of ${packageName} could not be loaded (${process.platform}-${process.arch}, Node ${process.versions.node}):`,
    ...attempts.map((attempt) => `  - ${attempt}`),
    'Ways out:',
    '  - build it: npx onnx-adapters build (needs CMake 3.25 and a C++20 compiler)',
    '  - let its install script run, where the package manager skipped it: npm install-scripts approve onnx-adapters ' +
      '&& npm rebuild onnx-adapters, or pnpm approve-builds',
    ...(process.platform === 'win32' ? ['  - Windows is supported through WSL 2'] : []),
    '  - name another build: ONNX_ADAPTERS_ADDON=/path/to/onnx_adapters.node',
  ].join('\n')
}
