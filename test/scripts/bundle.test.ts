import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import test from 'ava'
import { makeFolder } from '../../lib/formats/folder.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'
import { packagePath } from '../support/shared.js'

const { packageFolders } = (await import(packagePath('scripts', 'packages.mjs'))) as {
  packageFolders: (modules: string, names: readonly string[]) => string[]
}

test('packages come with all that they need, from where Node would take it', async (t) => {
  const modules = await temporaryFolder(t)
  const manifest = (dependencies: object, optionalDependencies: object = {}) =>
    JSON.stringify({ dependencies: { ...dependencies, ...optionalDependencies }, optionalDependencies })
  const files = {
    'a/package.json': manifest({ '@s/b': '1', c: '1' }, { absent: '1' }),
    'a/node_modules/c/package.json': manifest({ a: '1' }),
    '@s/b/package.json': manifest({ c: '1' }),
    'c/package.json': manifest({}),
    'd/package.json': manifest({}),
    'e/package.json': manifest({ missing: '1' }),
  }
  for (const file of Object.keys(files)) await makeFolder(dirname(join(modules, file)))
  await writeFiles(modules, files)
  t.deepEqual(packageFolders(modules, ['a']), ['@s/b', 'a', 'a/node_modules/c', 'c'])
  t.throws(() => packageFolders(modules, ['e']), { message: 'package missing, which e needs, is not installed' })
})

test('what goes along to a GPU host says what it can do, by the shell of any host', (t) => {
  const text = execFileSync('sh', [join(packagePath('scripts'), 'bundle_run.sh')], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  })
  for (const command of ['build', 'test', 'bench', 'smoke']) t.true(text.includes(`./run.sh ${command} `), command)
})
