/** What compilers and bundlers see of the packed package. */
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import test, { type ExecutionContext } from 'ava'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import ts from 'typescript'
import { packTarballs } from '../support/consumer.js'
import { run } from '../support/child.js'
import { temporaryFolder } from '../support/folder.js'
import { packagePath } from '../support/shared.js'

const { folder: packed, plain } = await packTarballs()
test.after.always(() => rm(packed, { recursive: true, force: true }))

test('attw: types and code agree, however they are resolved', async (t) => {
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(await readFile(plain))))
  if (!analysis.types) return t.fail('the tarball has no types')
  // CommonJS gets the same module, by `require` of ESM: test/package/install.test.ts does that.
  const problems = analysis.problems.filter(({ kind }) => kind !== 'CJSResolvesToESM')
  t.deepEqual(problems, [])
})

test('publint finds nothing', async (t) => {
  const tarball = new Uint8Array(await readFile(plain)).buffer
  const { messages, pkg } = await publint({ strict: true, pack: { tarball } })
  t.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  )
})

/** A folder with the unpacked package and with its dependencies, but not those that are optional. */
async function unpack(t: ExecutionContext): Promise<string> {
  const folder = await temporaryFolder(t)
  const modules = join(folder, 'node_modules')
  await mkdir(modules)
  t.is((await run('tar', ['-xzf', plain, '-C', modules])).status, 0)
  await rename(join(modules, 'package'), join(modules, 'onnx-adapters'))
  for (const name of ['@types', '@huggingface', 'protobufjs', 'long', 'commander', 'cli-progress', 'undici-types'])
    await symlink(packagePath('node_modules', name), join(modules, name))
  return folder
}

const program = `
import { Predictor, train, type Prediction, type TrainResult } from 'onnx-adapters'
const result: TrainResult = await train({ backbone: 'b', train: 't.tsv', output: 'o', adapter: { size: 8 } })
await using predictor = await Predictor.load(result.output)
export const predictions: Prediction[] = await predictor.predict(['a'])
// @ts-expect-error a misspelt option
await train({ backbone: 'b', train: 't.tsv', output: 'o', adapters: { size: 8 } })
`

const resolutions = {
  node16: { module: ts.ModuleKind.Node16 },
  nodenext: { module: ts.ModuleKind.NodeNext },
  bundler: { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler },
} as const

test('a strict program compiles with every resolution, the declarations checked too', async (t) => {
  const folder = await unpack(t)
  const file = join(folder, 'program.mts')
  await writeFile(file, program)
  for (const [name, how] of Object.entries(resolutions)) {
    const compiled = ts.createProgram([file], {
      ...how,
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      types: ['node'],
      typeRoots: [join(folder, 'node_modules', '@types')],
      strict: true,
      noEmit: true,
    })
    const errors = ts
      .getPreEmitDiagnostics(compiled)
      .map(({ file, messageText }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
    t.deepEqual(errors, [], name)
  }
})
