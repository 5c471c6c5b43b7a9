/** The house rules that no compiler checks: who may import whom, where things may be, how large files grow. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, extname, join, relative } from 'node:path'
import test from 'ava'
import { ops } from '../lib/ops/index.js'
import { packagePath, packageRoot } from './support/shared.js'

const largestFile = 500
const sources = ['.ts', '.mjs', '.cc', '.h', '.inc', '.cu', '.cuh', '.py']

function files(...folders: string[]): string[] {
  return folders
    .filter((folder) => existsSync(packagePath(folder)))
    .flatMap((folder) => readdirSync(packagePath(folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(packageRoot, join(entry.parentPath, entry.name)))
}

function read(file: string): string {
  return readFileSync(packagePath(file), 'utf8')
}

function isSource(file: string): boolean {
  return sources.includes(extname(file))
}

/** Files that a TypeScript file imports, types too, as paths from the root. */
function importsOf(file: string): string[] {
  const found = read(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)
  return [...found].map((match) => join(dirname(file), match[1]!.replace(/\.js$/, '.ts')))
}

/** The stage of a lib file: its folder, or its name at the top. */
function stage(file: string): string {
  const parts = file.split('/')
  return parts.length > 2 ? parts[1]! : basename(file, '.ts')
}

const compiler = ['onnx', 'adapters', 'heads', 'autodiff', 'plan']
const base = ['errors', 'kinds', 'options', 'table', 'ir', 'ops']
const data = ['data', 'metrics', 'formats']
const outer = ['backbone', 'bench', 'export', 'import', 'predict', 'serve', 'report']

/** What each stage may import besides itself. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  kinds: [],
  table: [],
  options: ['errors'],
  version: ['runtime'],
  // The values of half floats are those of a format.
  ir: ['errors', 'formats'],
  ops: ['errors', 'ir'],
  ...Object.fromEntries(compiler.map((name) => [name, base])),
  ...Object.fromEntries(data.map((name) => [name, ['errors', 'kinds', 'options', ...data]])),
  // Models are files too, and files are written in one way.
  onnx: [...base, 'formats'],
  runtime: [...base, ...compiler],
  train: [...base, ...compiler, ...data, ...outer, 'runtime', 'version'],
  ...Object.fromEntries(
    outer.map((name) => [name, [...base, ...compiler, ...data, ...outer, 'runtime', 'train', 'version']]),
  ),
}

test('lib imports go one way', (t) => {
  const wrong: string[] = []
  for (const file of files('lib').filter((name) => name.endsWith('.ts'))) {
    const from = stage(file)
    if (from === 'index' || from === 'cli') continue
    for (const target of importsOf(file)) {
      const to = stage(target)
      if (to !== from && !(allowed[from] ?? []).includes(to)) wrong.push(`${file} imports ${target}`)
    }
  }
  t.deepEqual(wrong, [])
})

test('what data and engine share of tasks is listed once', (t) => {
  const listed = (what: RegExp) => files('lib').filter((file) => what.test(read(file)))
  t.deepEqual(listed(/'multilabel'[,\s|]+'span'/), ['lib/kinds.ts'])
  t.deepEqual(listed(/= -100$/m), ['lib/kinds.ts'])
})

test('every import of lib exists', (t) => {
  const missing = files('lib')
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) =>
      importsOf(file)
        .filter((target) => !existsSync(packagePath(target)))
        .map((target) => `${file}: ${target}`),
    )
  t.deepEqual(missing, [])
})

const nativeOrder: Readonly<Record<string, readonly string[]>> = {
  base: ['base'],
  cpu: ['base', 'cpu'],
  cuda: ['base', 'cuda'],
  ops: ['base', 'cpu', 'cuda', 'ops'],
  runtime: ['base', 'cpu', 'cuda', 'ops', 'runtime'],
  napi: ['base', 'cpu', 'cuda', 'ops', 'runtime', 'napi'],
  replay: ['base', 'cpu', 'cuda', 'ops', 'runtime', 'replay'],
}

test('native includes go one way', (t) => {
  const wrong: string[] = []
  for (const file of files('native').filter(isSource)) {
    const order = nativeOrder[file.split('/')[1]!]
    if (!order) {
      wrong.push(`${file} lies in no known folder`)
      continue
    }
    for (const match of read(file).matchAll(/^#include "([^"]+)"/gm)) {
      const target = match[1]!.includes('/') ? match[1]!.split('/')[0]! : ''
      if (target && !order.includes(target)) wrong.push(`${file} includes ${match[1]}`)
    }
  }
  t.deepEqual(wrong, [])
})

test('napi.h is seen only in native/napi', (t) => {
  const wrong = files('native').filter(
    (file) => isSource(file) && !file.startsWith('native/napi/') && /#include [<"](napi|node_api)/.test(read(file)),
  )
  t.deepEqual(wrong, [])
})

test('CUDA headers are seen only in native/cuda, in *_cuda.cu and *.cuh, and in the device and queue of a GPU', (t) => {
  const inPlace = (file: string) => /^native\/(cuda\/|runtime\/cuda_|ops\/\w+(_cuda\.cu|\.cuh)$)/.test(file)
  const wrong = files('native').filter(
    (file) => isSource(file) && !inPlace(file) && /#include [<"](cuda|cublas)/.test(read(file)),
  )
  t.deepEqual(wrong, [])
})

test('only binding.ts names the binary', (t) => {
  const wrong = files('lib').filter((file) => file.endsWith('.ts') && read(file).includes('onnx_adapters.node'))
  t.deepEqual(
    wrong.filter((file) => file !== 'lib/runtime/binding.ts'),
    [],
  )
})

test('folders are made in one place, which never turns in a circle', (t) => {
  const wrong = files('lib').filter((file) => /\bmkdir(Sync)?\(/.test(read(file)))
  t.deepEqual(wrong, ['lib/formats/folder.ts'])
})

test('no folder is called utils, helpers, common or misc', (t) => {
  const wrong = files('lib', 'native', 'test', 'bench').filter((file) =>
    /(^|\/)(utils?|helpers?|common|misc)(\/|\.)/.test(file),
  )
  t.deepEqual(wrong, [])
})

test(`no source file has more than ${largestFile} lines`, (t) => {
  const long = files('lib', 'native', 'test', 'bench', 'scripts', 'bin')
    .filter(isSource)
    .map((file) => [file, read(file).split('\n').length - 1] as const)
    .filter(([, lines]) => lines > largestFile)
  t.deepEqual(long, [])
})

test('an op has its rooms: lib, native, test', (t) => {
  // A backward op lives in the files of its forward op; linear's two are called after what they give.
  const stem = (name: string) => name.replace(/_backward$/, '').replace(/^linear_d[wx]$/, 'linear')
  const missing = [...new Set(ops.map((op) => stem(op.name)))]
    .flatMap((name) => [
      `lib/ops/${name}.ts`,
      `native/ops/${name}.h`,
      `native/ops/${name}_cpu.cc`,
      `test/ops/${name}.test.ts`,
    ])
    .filter((file) => !existsSync(packagePath(file)))
  t.deepEqual(missing, [])
})

/** Rows of CONTRIBUTING.md's map: folders as full paths, and the files that the row names. */
function mapRows(): { folders: string[]; named: string[] }[] {
  const map = /^## The map\n(.*?)^## /ms.exec(read('CONTRIBUTING.md'))![1]!
  const code = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)
  return map
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [, first = '', second = ''] = line.split(/(?<!\\)\|/)
      return { folders: code(first), named: code(second).filter((name) => /^[\w/.-]+\.\w+$/.test(name)) }
    })
}

/** Every folder of a tree, itself too, as full paths with a slash at the end. */
function foldersOf(top: string): string[] {
  if (!existsSync(packagePath(top))) return []
  const below = readdirSync(packagePath(top), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== '__pycache__')
    .map((entry) => relative(packageRoot, join(entry.parentPath, entry.name)))
  return [top, ...below].map((folder) => `${folder}/`)
}

const mapped = ['lib', 'native', 'test', 'bench', 'scripts', 'docs']

test('every folder has its place on the map of CONTRIBUTING.md', (t) => {
  const named = new Set(mapRows().flatMap(({ folders }) => folders))
  // The map says that test/ is as lib/, folder by folder.
  const implied = new Set(foldersOf('lib').map((folder) => folder.replace(/^lib/, 'test')))
  const missing = mapped.flatMap(foldersOf).filter((folder) => !named.has(folder) && !implied.has(folder))
  t.deepEqual(missing, [])
})

test('every place on the map of CONTRIBUTING.md is there', (t) => {
  const rows = mapRows()
  t.true(rows.length > 20)
  const absent = rows.flatMap(({ folders, named }) => [
    ...folders.filter((folder) => !folder.endsWith('/') || !existsSync(packagePath(folder))),
    ...named.filter((name) => !folders.some((folder) => existsSync(packagePath(folder, name)))),
  ])
  t.deepEqual(absent, [])
})

test('a test that cannot run is skipped, never passed', (t) => {
  const empty = new RegExp(['t\\.pa', 'ss\\(\\)'].join(''))
  const wrong = files('test').filter((file) => file.endsWith('.ts') && empty.test(read(file)))
  t.deepEqual(wrong, [])
})

test('nothing is left to do in the sources', (t) => {
  const mark = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|'))
  const wrong = files('lib', 'native', 'test', 'bench', 'scripts').filter(
    (file) => isSource(file) && mark.test(read(file)),
  )
  t.deepEqual(wrong, [])
})
