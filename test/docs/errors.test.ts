/** docs/errors.md has every code of the sources, and no other. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { packagePath } from '../support/shared.js'

/** Codes as the sources write them: between quotes. */
function codesIn(folder: string, quote: string): string[] {
  const pattern = new RegExp(`${quote}((?:ERR|WARN)_[A-Z_]+)${quote}`, 'g')
  return readdirSync(packagePath(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|cc|h)$/.test(entry.name))
    .flatMap((entry) => [...readFileSync(join(entry.parentPath, entry.name), 'utf8').matchAll(pattern)])
    .map((match) => match[1]!)
}

test('every code of the sources is told, and no other', (t) => {
  // native/replay is a program for tests, not part of the engine.
  const native = ['base', 'cpu', 'napi', 'ops', 'runtime'].flatMap((folder) => codesIn(join('native', folder), '"'))
  const codes = [...new Set([...codesIn('lib', "'"), ...native])].sort()
  const tables = readFileSync(packagePath('docs', 'errors.md'), 'utf8').matchAll(/^\| (`(?:ERR|WARN)_[^|]*) \|/gm)
  const told = [...tables].flatMap((match) => [...match[1]!.matchAll(/`([A-Z_]+)`/g)].map((name) => name[1]!)).sort()
  t.true(codes.length > 50)
  t.deepEqual(told, codes)
})

test('codes that other documents name are there', (t) => {
  const errors = readFileSync(packagePath('docs', 'errors.md'), 'utf8')
  const unknown = ['README.md', ...readdirSync(packagePath('docs')).map((name) => join('docs', name))]
    .filter((name) => name.endsWith('.md'))
    .flatMap((name) => [...readFileSync(packagePath(name), 'utf8').matchAll(/`((?:ERR|WARN)_[A-Z_]+)`/g)])
    .map((match) => match[1]!)
    .filter((code) => !errors.includes(`\`${code}\``))
  t.deepEqual(unknown, [])
})
