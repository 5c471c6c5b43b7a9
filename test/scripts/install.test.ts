/** The install script on packages of a few files, with a stand-in for cmake-js: what it builds when, and what it says. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { temporaryFolder, writeFiles } from '../support/folder.js'
import { packagePath } from '../support/shared.js'

/** Notes its arguments, and makes what the variable STAND_IN says: an addon, or none. */
const standIn = `
const { mkdirSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
writeFileSync(join(__dirname, 'arguments.json'), JSON.stringify(process.argv.slice(2)))
if (process.env.STAND_IN === 'fails') process.exit(1)
const out = process.argv[process.argv.indexOf('--out') + 1]
mkdirSync(join(out, 'Release'), { recursive: true })
writeFileSync(join(out, 'Release', 'onnx_adapters.node'), 'built')
`

const tools = ['cmake', 'c++', 'make']
const prebuilt = join('prebuilds', `${process.platform}-${process.arch}`, 'onnx_adapters.node')

interface Package {
  readonly root: string
  /** Arguments of cmake-js when it last ran; undefined where it did not. */
  compiled(): Promise<readonly string[] | undefined>
  /** Runs the script; `without` are tools that are not to be found. */
  install(options?: {
    args?: string[]
    environment?: object
    without?: readonly string[]
  }): Promise<{ code: number | null; text: string }>
}

async function makePackage(t: ExecutionContext): Promise<Package> {
  const root = await temporaryFolder(t)
  await cp(packagePath('scripts'), join(root, 'scripts'), { recursive: true })
  const cmakeJs = join(root, 'node_modules', 'cmake-js')
  await writeFiles(root, { 'package.json': '{ "type": "module" }', 'CMakeLists.txt': 'project(x)' })
  await writeFiles(join(root, 'native', 'base'), { 'a.cc': 'int a;', 'a.h': '' })
  await writeFiles(cmakeJs, { 'package.json': '{ "name": "cmake-js" }' })
  await writeFiles(join(cmakeJs, 'bin'), { 'cmake-js': standIn })
  for (const tool of tools) {
    await writeFiles(join(root, 'tools'), { [tool]: '#!/bin/sh\nexit 0\n' })
    await chmod(join(root, 'tools', tool), 0o755)
  }
  // The stand-ins are shell scripts, and nothing else is to be found.
  await symlink('/bin/sh', join(root, 'tools', 'sh'))
  const noted = join(cmakeJs, 'bin', 'arguments.json')
  return {
    root,
    async compiled() {
      if (!existsSync(noted)) return undefined
      const args = JSON.parse(await readFile(noted, 'utf8')) as string[]
      await rm(noted)
      return args
    },
    async install({ args = [], environment = {}, without = [] } = {}) {
      for (const tool of without) await rm(join(root, 'tools', tool))
      const env = { PATH: join(root, 'tools'), ...environment }
      return new Promise((finish, fail) => {
        const child = spawn(process.execPath, [join(root, 'scripts', 'install.mjs'), ...args], { env })
        let text = ''
        for (const stream of [child.stdout, child.stderr])
          stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        child.once('error', fail)
        child.once('close', (code) => finish({ code, text }))
      })
    },
  }
}

test('it compiles once, and again when a source, an option or the wish asks for it', async (t) => {
  const { root, install, compiled } = await makePackage(t)
  const first = await install()
  t.is(first.code, 0, first.text)
  t.regex(first.text, /compiles the native addon for CPU .*\n.*built build\/Release\/onnx_adapters\.node in \d+ s/)
  const args = await compiled()
  t.deepEqual(args?.slice(0, 1), ['compile'])
  t.is(args?.[args.indexOf('--directory') + 1], root)

  const again = await install()
  t.is(again.code, 0)
  t.regex(again.text, /up to date/)
  t.is(await compiled(), undefined)

  for (const change of ['native/base/a.cc', 'native/base/a.h', 'native/base/new.cc', 'CMakeLists.txt']) {
    await writeFile(join(root, change), 'changed')
    t.regex((await install()).text, /built/, change)
    t.truthy(await compiled(), change)
  }
  await writeFile(join(root, 'native', 'README.md'), 'no source')
  t.regex((await install()).text, /up to date/)

  const sanitized = await install({ environment: { ONNX_ADAPTERS_SANITIZE: 'address' } })
  t.regex(sanitized.text, /built/)
  t.true((await compiled())?.includes('--CDOA_SANITIZE=address'))
  await install()
  t.truthy(await compiled())
  t.regex((await install({ args: ['--force'] })).text, /built/)

  await rm(join(root, 'build', 'Release', 'onnx_adapters.node'))
  t.regex((await install()).text, /built/, 'the stamp alone is no addon')
})

test('a compilation that fails says what it needs, and is tried again', async (t) => {
  const { root, install, compiled } = await makePackage(t)
  await install()
  await writeFile(join(root, 'native', 'base', 'a.cc'), 'changed')
  const failed = await install({ environment: { STAND_IN: 'fails' } })
  t.is(failed.code, 1)
  t.regex(failed.text, /failed; the compiler output is above/)
  t.regex(failed.text, /CMake 3\.25 and a C\+\+20 compiler/)
  t.regex(failed.text, /npx onnx-adapters build/)
  t.false(existsSync(join(root, 'build', 'stamp.txt')))
  await writeFile(join(root, 'native', 'base', 'a.cc'), 'int a;')
  await compiled()
  t.regex((await install()).text, /built/)
  t.truthy(await compiled())
})

test('every tool that is missing is named, with a way to get it', async (t) => {
  const { install, compiled } = await makePackage(t)
  const one = await install({ without: ['make'] })
  t.is(one.code, 1)
  t.regex(one.text, /cannot be compiled:\n.* - neither make nor ninja was found/)
  t.notRegex(one.text, /no C\+\+20 compiler|cmake \(/)
  const all = await install({ without: ['cmake', 'c++'] })
  t.is(all.code, 1)
  t.regex(all.text, /- cmake \(3\.25 or later\) was not found in PATH; install it, \S/)
  t.regex(all.text, /- no C\+\+20 compiler was found \(tried c\+\+, g\+\+, clang\+\+;.*CXX/)
  t.regex((await install({ environment: { CXX: '/opt/absent/g++' } })).text, /tried \/opt\/absent\/g\+\+;/)
  t.is(await compiled(), undefined)
})

test('a prebuilt addon is used where none is asked for in particular', async (t) => {
  const { root, install, compiled } = await makePackage(t)
  await writeFiles(join(root, prebuilt, '..'), { 'onnx_adapters.node': 'prebuilt' })
  const { code, text } = await install({ without: tools })
  t.is(code, 0, text)
  t.regex(text, new RegExp(`prebuilt addon for ${process.platform}-${process.arch}`))
  t.is(await compiled(), undefined)
  t.is((await install({ args: ['--force'] })).code, 1, 'without tools it cannot be built')
})

test('with an option of its own, the addon is built in spite of a prebuilt one', async (t) => {
  const { root, install, compiled } = await makePackage(t)
  await writeFiles(join(root, prebuilt, '..'), { 'onnx_adapters.node': 'prebuilt' })
  t.regex((await install({ environment: { ONNX_ADAPTERS_SANITIZE: 'thread' } })).text, /built/)
  t.truthy(await compiled())
})

test('nothing is built where that is not wanted', async (t) => {
  const { install, compiled } = await makePackage(t)
  const { code, text } = await install({ environment: { ONNX_ADAPTERS_SKIP_BUILD: '1' } })
  t.is(code, 0)
  t.regex(text, /ONNX_ADAPTERS_SKIP_BUILD is set: nothing was built/)
  t.is(await compiled(), undefined)
})
