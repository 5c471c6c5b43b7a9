/** Where tests find files: inside the package, and the shared fixtures beside it. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  // Compiled tests run from dist-test/, one level deeper than their sources.
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

export const packageRoot = findRoot()

/** A path inside the package, from its root. */
export function packagePath(...parts: string[]): string {
  return join(packageRoot, ...parts)
}

const sharedRoot = resolve(packageRoot, process.env['ONNX_ADAPTERS_SHARED'] ?? '../shared')

/** A path in the folder of shared fixtures and models, or undefined where it is not there. */
export function sharedPath(...parts: string[]): string | undefined {
  const path = join(sharedRoot, ...parts)
  return existsSync(path) ? path : undefined
}

/** The reason a test gives when it cannot run without the shared files. */
export const sharedMissing = `shared files are not at ${sharedRoot} (set ONNX_ADAPTERS_SHARED)`

/** Why a test cannot run that needs these paths of `sharedPath`; undefined where they are all there. */
export function lacksShared(...paths: readonly (string | undefined)[]): string | undefined {
  return paths.includes(undefined) ? sharedMissing : undefined
}
