/** What the install script decides, in a package of its own: nothing is compiled here. */
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { addonPath, describe } from '../../lib/runtime/binding.js'
import { run } from '../support/child.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'
import { packagePath } from '../support/shared.js'

/** A package with the scripts and a prebuilt addon, on a machine without compilers. */
async function install(t: ExecutionContext, prebuilt: string | undefined, environment: NodeJS.ProcessEnv = {}) {
  const root = await temporaryFolder(t)
  const place = join(root, 'prebuilds', `${process.platform}-${process.arch}`)
  for (const folder of [join(root, 'scripts'), join(root, 'native'), join(root, 'cmake'), place])
    await mkdir(folder, { recursive: true })
  for (const name of ['install.mjs', 'native.mjs', 'cuda.mjs'])
    await copyFile(packagePath('scripts', name), join(root, 'scripts', name))
  for (const file of ['CMakeLists.txt', 'cmake/cuda.cmake']) await copyFile(packagePath(file), join(root, file))
  if (prebuilt !== undefined) await copyFile(prebuilt, join(place, 'onnx_adapters.node'))
  return run(process.execPath, [join(root, 'scripts', 'install.mjs')], {
    environment: { PATH: root, ONNX_ADAPTERS_CUDA: 'off', ...environment },
  })
}

test('a prebuilt addon that loads is taken', async (t) => {
  describe()
  const { status, stdout } = await install(t, addonPath())
  t.is(status, 0)
  t.regex(stdout, /uses the prebuilt addon for /)
})

test('one that does not load is told, and compiling is tried', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, { 'broken.node': 'not a library' })
  const { status, stdout, stderr } = await install(t, join(folder, 'broken.node'))
  t.is(status, 1)
  t.regex(stdout, /the prebuilt addon does not load here: \S/)
  t.regex(stderr, /cmake \(3\.25 or later\) was not found in PATH/)
})

test('without one, what is missing to compile is listed', async (t) => {
  const { status, stderr } = await install(t, undefined)
  t.is(status, 1)
  for (const tool of [/cmake/, /C\+\+20 compiler/, /make nor ninja/]) t.regex(stderr, tool)
})

test('options of a build want a build of their own', async (t) => {
  describe()
  const { status, stderr } = await install(t, addonPath(), { ONNX_ADAPTERS_ISAS: 'scalar' })
  t.is(status, 1)
  t.regex(stderr, /cannot be compiled/)
})

test('nothing is built where that was asked for', async (t) => {
  const { status, stdout } = await install(t, undefined, { ONNX_ADAPTERS_SKIP_BUILD: '1' })
  t.is(status, 0)
  t.regex(stdout, /nothing was built/)
})
