/**
 * A reader of a document who does what it says: runs its blocks in order in one folder, where the names of real models
 * and data stand for tiny ones.
 */
import { chmod, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import ts from 'typescript'
import { run } from './child.js'
import type { Block } from './document.js'
import { asTsv, colourRows, roomyBackbone, temporaryFolder, writeFiles } from './folder.js'
import { packagePath } from './shared.js'

const compiledLib = fileURLToPath(new URL('../../lib', import.meta.url))

/** npm and npx of the reader: they install nothing; they know the package's command, its demo, and which scripts it has. */
const npm = `#!/bin/sh
case "$1" in
  install | ci) exit 0 ;;
  test | t) set -- run test ;;
esac
[ "$1" = run ] || { echo "npm $1: not known to this test" >&2; exit 1; }
[ "$2" = demo ] && shift 2 && { [ "$1" = -- ] && shift; exec node demo/demo.mjs "$@"; }
grep -q "^ *\\"$2\\":" package.json || { echo "package.json has no script $2" >&2; exit 1; }
`
const npx = `#!/bin/sh
[ "$1" = onnx-adapters ] || { echo "npx $1: not known to this test" >&2; exit 1; }
shift
exec node dist/cli/main.js "$@"
`

export class Reader {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Prepares the folder: the package under its name, commands, a backbone by path and by name, `data/trec`. */
  static async create(t: ExecutionContext): Promise<Reader> {
    const folder = await temporaryFolder(t)
    await writeFiles(folder, { 'package.json': JSON.stringify(await ownPackage(), null, 2) })
    await writeFiles(join(folder, 'bin'), { npm, npx })
    for (const name of ['npm', 'npx']) await chmod(join(folder, 'bin', name), 0o755)
    await symlink(compiledLib, join(folder, 'dist'))
    await symlink(packagePath('lib'), join(folder, 'lib'))
    await symlink(packagePath('node_modules'), join(folder, 'node_modules'))
    // Without data of an earlier demo.
    const isProgram = (path: string) => !path.includes(join('demo', 'data'))
    await cp(packagePath('demo'), join(folder, 'demo'), { recursive: true, filter: isProgram })
    for (const place of [['models'], ['cache', 'backbones', 'sentence-transformers']])
      await roomyBackbone(join(folder, ...place, 'all-MiniLM-L6-v2'))
    const rows = colourRows(48)
    await writeFiles(join(folder, 'data', 'trec'), {
      'train.tsv': asTsv(rows),
      'dev.tsv': asTsv(rows.slice(0, 12)),
      'test.tsv': asTsv(rows.slice(12, 24)),
    })
    // What the demo takes in place of what it would fetch.
    const mails = rows.map(({ text, label }) => ({ text, label: label === 'red' ? 'spam' : 'ham' }))
    await writeFiles(join(folder, 'data', 'sms_spam'), {
      'train.tsv': asTsv(mails),
      'dev.tsv': asTsv(mails.slice(0, 12)),
    })
    return new Reader(folder)
  }

  /** Does what one block says. @returns what it printed */
  async follow(t: ExecutionContext, block: Block): Promise<string> {
    const { document, language, text, line, file } = block
    if (file !== undefined) return this.#write(file, text)
    if (language === 'sh') return this.#run(t, block, 'sh', ['-e', '-c', text])
    if (language !== 'ts' && language !== 'js') return ''
    const name = `${document}-${line}.mjs`
    const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
    await writeFile(join(this.folder, name), ts.transpileModule(text, { compilerOptions: options }).outputText)
    return this.#run(t, block, process.execPath, [name])
  }

  /** What the compiler says of the TypeScript in documents, under the strictest settings of the package. */
  async typeErrors(blocks: readonly Block[]): Promise<string[]> {
    const sources = blocks.filter(({ language }) => language === 'ts')
    const files = sources.map(({ document, line }) => join(this.folder, `${document}-${line}.mts`))
    for (const [i, { text }] of sources.entries()) await writeFile(files[i]!, text)
    const program = ts.createProgram(files, {
      target: ts.ScriptTarget.ES2023,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      module: ts.ModuleKind.NodeNext,
      types: ['node'],
      typeRoots: [join(this.folder, 'node_modules', '@types')],
      strict: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: true,
      noEmit: true,
    })
    return ts
      .getPreEmitDiagnostics(program)
      .map(({ file, messageText }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
  }

  /** The content of a file that the document shows, under its name. */
  async #write(file: string, text: string): Promise<string> {
    const path = join(this.folder, file)
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, text)
    return ''
  }

  async #run(t: ExecutionContext, block: Block, command: string, args: readonly string[]): Promise<string> {
    // A document may train into one folder several times, each time as if it were the first.
    if (!/resume|overwrite/.test(block.text))
      for (const output of outputsOf(block.text)) await rm(join(this.folder, output), { recursive: true, force: true })
    const environment = {
      PATH: [join(this.folder, 'bin'), process.env['PATH']].join(delimiter),
      ONNX_ADAPTERS_CACHE: join(this.folder, 'cache'),
      ONNX_ADAPTERS_SHARED: this.folder,
    }
    const { status, stdout, stderr } = await run(command, args, { cwd: this.folder, environment })
    t.is(status, 0, `${block.document}, line ${block.line}:\n${block.text}\n${stdout}${stderr}`)
    return stdout
  }
}

/** package.json with the types from the sources: a program finds the package by its name, as itself. */
async function ownPackage(): Promise<object> {
  const content = JSON.parse(await readFile(packagePath('package.json'), 'utf8')) as object
  return { ...content, exports: { '.': { types: './lib/index.ts', default: './dist/index.js' } } }
}

/** Folders of runs that a block trains: `--output runs/x`, `output: 'runs/x'`. */
function outputsOf(text: string): string[] {
  const pattern = /--output (runs\/\S+)|\boutput: '(runs\/[^']+)'/g
  return [...text.matchAll(pattern)].map(([, flag, option]) => (flag ?? option)!)
}
