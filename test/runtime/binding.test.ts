/** Loading the addon: what is tried in which order, and what is said where nothing can be loaded. */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import type { DeviceError } from '../../lib/errors.js'
import type * as Binding from '../../lib/runtime/binding.js'
import { addon, addonPath } from '../../lib/runtime/binding.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'

const compiled = fileURLToPath(new URL('../../lib/', import.meta.url))
const execute = promisify(execFile)

/** The addon that these tests themselves use. */
function ownAddon(): string {
  addon()
  return addonPath()!
}

/** An installed package that has only the part that loads the addon: nothing is built there. */
async function bareInstall(t: ExecutionContext) {
  const root = await temporaryFolder(t)
  await writeFiles(root, { 'package.json': '{ "name": "onnx-adapters", "type": "module" }' })
  for (const file of ['errors.js', join('runtime', 'binding.js')]) {
    await mkdir(dirname(join(root, 'dist', file)), { recursive: true })
    await copyFile(join(compiled, file), join(root, 'dist', file))
  }
  const binding = (await import(pathToFileURL(join(root, 'dist', 'runtime', 'binding.js')).href)) as typeof Binding
  const name = 'onnx_adapters.node'
  return {
    binding,
    built: join(root, 'build', 'Release', name),
    prebuilt: join(root, 'prebuilds', `${process.platform}-${process.arch}`, name),
  }
}

async function put(file: string, content: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content)
}

// ONNX_ADAPTERS_ADDON would name the file to all of these.
const forced = process.env['ONNX_ADAPTERS_ADDON']
const own = ownAddon()
delete process.env['ONNX_ADAPTERS_ADDON']
test.after(() => {
  if (forced) process.env['ONNX_ADAPTERS_ADDON'] = forced
})

test('where nothing was built, the error says what was tried and the ways out', async (t) => {
  const { binding, built, prebuilt } = await bareInstall(t)
  const error = t.throws<DeviceError>(() => binding.addon(), { code: 'ERR_ADDON' })
  t.deepEqual(error.details['attempts'], [`${built}: no such file`, `${prebuilt}: no such file`])
  for (const part of [built, prebuilt, process.arch, process.versions.node]) t.true(error.message.includes(part), part)
  t.regex(error.message, /Ways out:\n.*npx onnx-adapters build \(needs CMake 3\.25/)
  t.regex(error.message, /npm rebuild onnx-adapters/)
  t.regex(error.message, /ONNX_ADAPTERS_ADDON=/)
  t.is(binding.addonPath(), undefined)
})

test("a file that cannot be loaded gives the system's reason, and the next one is tried", async (t) => {
  const { binding, built, prebuilt } = await bareInstall(t)
  await put(built, 'this is no library')
  const error = t.throws<DeviceError>(() => binding.addon(), { code: 'ERR_ADDON' })
  const [first] = error.details['attempts'] as string[]
  t.true(first!.startsWith(`${built}: `))
  t.notRegex(first!, /no such file$/)
  t.truthy(error.cause)

  await put(prebuilt, '')
  await copyFile(own, prebuilt)
  t.true(binding.describe().isas.length > 0)
  t.is(binding.addonPath(), prebuilt)
})

test('a file that was named is the only one', async (t) => {
  const { binding, built } = await bareInstall(t)
  await put(built, '')
  await copyFile(own, built)
  const absent = join(await temporaryFolder(t), 'absent.node')
  process.env['ONNX_ADAPTERS_ADDON'] = absent
  try {
    const error = t.throws<DeviceError>(() => binding.addon(), { code: 'ERR_ADDON' })
    t.deepEqual(error.details['attempts'], [`${absent}: no such file`])
  } finally {
    delete process.env['ONNX_ADAPTERS_ADDON']
  }
  t.true(binding.describe().isas.length > 0)
  t.is(binding.addonPath(), built)
})

test('doctor tells the same, and fails', async (t) => {
  const absent = join(await temporaryFolder(t), 'absent.node')
  const env = { ...process.env, ONNX_ADAPTERS_ADDON: absent }
  const doctor = execute(process.execPath, [join(compiled, 'cli', 'main.js'), 'doctor'], { env })
  const error = await t.throwsAsync<Error & { code: number; stdout: string; stderr: string }>(doctor)
  t.is(error?.code, 1)
  t.is(error?.stderr, '')
  t.true(error?.stdout.includes(`${absent}: no such file`))
  t.regex(error?.stdout ?? '', /Ways out:/)
})
