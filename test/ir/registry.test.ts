/** The registry of ops against the native list, and shape rules that name what is wrong. */
import { readFileSync } from 'node:fs'
import test from 'ava'
import { ShapeError } from '../../lib/errors.js'
import { activation } from '../../lib/ir/graph.js'
import { adapter } from '../../lib/ops/adapter.js'
import { activations, attributeSignature, makeNode, operandSignature } from '../../lib/ops/define.js'
import { compareOpTables, ops } from '../../lib/ops/index.js'
import { linear } from '../../lib/ops/linear.js'
import { packagePath } from '../support/shared.js'

const header = readFileSync(packagePath('native', 'ops', 'opcodes.h'), 'utf8')

/** opcodes.h with its line continuations and adjacent string literals joined. */
const native = [...header.replace(/\\\n/g, ' ').matchAll(/OP\((\d+), (\w+),\s*"([^"]*)",\s*"([^"]*)"\)/g)].map(
  ([, code, name, operands, attributes]) => ({
    code: Number(code),
    name: name!,
    operands: operands!,
    attributes: attributes!,
  }),
)

test('codes, operands and attributes are those of opcodes.h', (t) => {
  const ours = ops.map((op) => ({
    code: op.code,
    name: op.name,
    operands: operandSignature(op),
    attributes: attributeSignature(op),
  }))
  t.deepEqual(ours, native)
  t.notThrows(() => compareOpTables(native))
})

test('activations have the numbers of activations.h', (t) => {
  const activationsHeader = readFileSync(packagePath('native', 'base', 'activations.h'), 'utf8')
  const listed = [...activationsHeader.matchAll(/A\((\d+), (\w+)\)/g)].map(([, number, name]) => [Number(number), name])
  t.deepEqual(
    listed,
    activations.map((name, i) => [i, name]),
  )
})

test('a differing table is refused with every difference', (t) => {
  const changed = native.map((op) => (op.name === 'linear' ? { ...op, operands: 'y <- x w' } : op)).slice(0, -1)
  const error = t.throws(() => compareOpTables(changed), { code: 'ERR_ADDON' })
  t.regex(error.message, /7 linear: .* here, 7 linear: y <- x w/)
  t.regex(error.message, /cast is not in the addon/)
})

test('a shape rule names the operand that does not fit', (t) => {
  const x = activation('x', ['T', 8])
  const w = activation('w', [4, 9])
  const error = t.throws(() => makeNode(linear, 'layer.0.ffn.up', { x, w }), { instanceOf: ShapeError })
  t.like(error.details, { operand: 'w', node: 'layer.0.ffn.up' })
  t.regex(error.message, /linear: operand "w" is \[4, 9\], expected \[4, 8\]/)
})

test('an absent operand, an unknown one and a wrong dtype are refused', (t) => {
  const x = activation('x', ['T', 8])
  t.throws(() => makeNode(linear, 'n', { x }), { message: /lacks its operand "w"/ })
  t.throws(() => makeNode(linear, 'n', { x, weight: x }), { message: /no operand "weight"/ })
  t.throws(() => makeNode(linear, 'n', { x: activation('i', ['T', 8], 'i32'), w: activation('w', [4, 8]) }), {
    message: /is i32, expected f32/,
  })
})

test('an adapter works out all its shapes', (t) => {
  const value = (name: string, ...shape: number[]) => activation(name, shape)
  const rows = activation('x', ['T', 64])
  const node = makeNode(
    adapter,
    'a',
    {
      x: rows,
      residual: rows,
      down_w: value('dw', 8, 64),
      down_b: value('db', 8),
      up_w: value('uw', 64, 8),
      up_b: value('ub', 64),
      gamma: value('g', 64),
      beta: value('b', 64),
    },
    { activation: 'relu', epsilon: 1e-5, dropout: 0, rng: 0 },
    ['xhat', 'rstd', 'z'],
  )
  t.deepEqual(Object.fromEntries(Object.entries(node.outputs).map(([name, { shape }]) => [name, shape])), {
    y: ['T', 64],
    xhat: ['T', 64],
    rstd: ['T'],
    z: ['T', 8],
  })
})
