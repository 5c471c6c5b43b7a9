/** Every op has a reference, a parity with native, and cases; an op that a VJP emits is covered by the forward's cases. */
import { readdirSync, readFileSync } from 'node:fs'
import test from 'ava'
import { attributeSignature, operandSignature } from '../lib/ops/define.js'
import { ops } from '../lib/ops/index.js'
import { describe } from '../lib/runtime/binding.js'
import { packagePath } from './support/shared.js'
import { reference } from './support/reference.js'

/** Op names that appear in the test files: `testOp('name'`, or by hand in a file of their own. */
function testedByName(): Set<string> {
  const folder = packagePath('test', 'ops')
  const text = readdirSync(folder)
    .map((file) => readFileSync(`${folder}/${file}`, 'utf8'))
    .join('\n')
  const listed = [...text.matchAll(/(?:testOp|testOptimizerOp)\(\s*'(\w+)'/g)].map((match) => match[1]!)
  return new Set(listed)
}

/** Backward ops are covered where the forward op's cases ask for gradients. */
function testedByGradients(): Set<string> {
  const covered = new Set<string>()
  for (const op of ops) {
    const path = packagePath('test', 'ops', `${op.name}.test.ts`)
    if (!op.vjp || !/gradients:|operands\.slice/.test(readFileSync(path, 'utf8'))) continue
    for (const other of ops) if (other.name === `${op.name}_backward`) covered.add(other.name)
  }
  return covered
}

test('every op has cases', (t) => {
  const covered = new Set([...testedByName(), ...testedByGradients()])
  t.deepEqual(
    ops.map((op) => op.name).filter((name) => !covered.has(name)),
    [],
  )
})

test('every op has a reference, and every reference an op', (t) => {
  t.deepEqual(Object.keys(reference).sort(), ops.map((op) => op.name).sort())
})

test('the native list of ops is the same', (t) => {
  const ours = ops.map((op) => ({
    code: op.code,
    name: op.name,
    operands: operandSignature(op),
    attributes: attributeSignature(op),
  }))
  t.deepEqual([...describe().ops], ours)
})

test('opcodes.h is what the addon was built from', (t) => {
  const header = readFileSync(packagePath('native', 'ops', 'opcodes.h'), 'utf8')
  const lines = [...header.matchAll(/OP\((\d+), (\w+),/g)].map((match) => `${match[1]} ${match[2]}`)
  t.deepEqual(
    lines,
    describe().ops.map((op) => `${op.code} ${op.name}`),
  )
})
