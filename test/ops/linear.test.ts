import { activations } from '../../lib/ops/define.js'
import type { CaseBuilder, OpCase } from '../support/cases.js'
import { testOp } from '../support/harness.js'
import { integers } from '../support/random.js'

/** Rows, outputs, inputs: around the tiles of every instruction set, single rows and columns, primes. */
const sizes: readonly (readonly [rows: number, n: number, k: number])[] = [
  [1, 1, 1],
  [1, 17, 5],
  [3, 15, 16],
  [4, 16, 60],
  [5, 31, 33],
  [6, 32, 64],
  [7, 33, 61],
  [8, 8, 20],
  [12, 48, 12],
  [13, 47, 65],
  [14, 64, 1],
  [15, 1, 128],
  [29, 60, 100],
  [65, 96, 40],
]

function weight(g: CaseBuilder, trained: boolean, name: string, shape: readonly number[], data?: Float32Array) {
  return trained ? g.parameter(name, shape, data) : g.frozen(name, shape, data)
}

function sized([rows, n, k]: readonly [number, number, number], trained: boolean): OpCase {
  return {
    name: `${rows}x${k} to ${n}, ${trained ? 'trained' : 'frozen'}`,
    lengths: [rows],
    build: (g) =>
      g.node(
        'linear',
        { x: g.tokenRows('x', k), w: weight(g, trained, 'w', [n, k]), b: weight(g, trained, 'b', [n]) },
        { activation: 'none' },
      ),
    gradients: trained ? ['x', 'w', 'b'] : ['x'],
  }
}

/** Whole numbers small enough that every partial sum is exact in f32. */
function exact([rows, n, k]: readonly [number, number, number], trained: boolean): OpCase {
  const small = (name: string, count: number) =>
    Float32Array.from(integers(`exact/${name}/${rows}/${n}/${k}`, count, -8, 8))
  return {
    name: `whole numbers ${rows}x${k} to ${n}, ${trained ? 'trained' : 'frozen'}`,
    lengths: [rows],
    build: (g) =>
      g.node(
        'linear',
        {
          x: g.tokenRows('x', k, small('x', rows * k)),
          w: weight(g, trained, 'w', [n, k], small('w', n * k)),
          b: weight(g, trained, 'b', [n], small('b', n)),
        },
        { activation: 'none' },
      ),
    exact: true,
  }
}

testOp('linear', [
  ...sizes.flatMap((size) => [sized(size, false), sized(size, true)]),
  ...sizes.flatMap((size) => [exact(size, false), exact(size, true)]),
  exact([3, 40, 515], false),
  exact([3, 40, 515], true),
  ...activations.map((name) => ({
    name: `activation ${name}`,
    lengths: [4, 7],
    build: (g: CaseBuilder) =>
      g.node(
        'linear',
        { x: g.tokenRows('x', 20), w: g.frozen('w', [37, 20]), b: g.frozen('b', [37]) },
        { activation: name },
      ),
    gradients: ['x'],
    // The vector exponential and erf are stated to 1e-6 absolute, of values of order 10.
    absoluteFloor: name === 'none' || name === 'relu' ? 0 : 2e-6,
  })),
  ...activations.map((name) => ({
    name: `activation ${name}, trained`,
    lengths: [9],
    build: (g: CaseBuilder) =>
      g.node(
        'linear',
        { x: g.tokenRows('x', 12), w: g.parameter('w', [19, 12]), b: g.parameter('b', [19]) },
        { activation: name },
        ['derivative'],
      ),
    gradients: ['x', 'w', 'b'],
    absoluteFloor: name === 'none' || name === 'relu' ? 0 : 4e-6,
  })),
  {
    name: 'no bias',
    lengths: [5],
    build: (g) => g.node('linear', { x: g.tokenRows('x', 24), w: g.frozen('w', [24, 24]) }, { activation: 'none' }),
    gradients: ['x'],
  },
  {
    name: 'rows of sequences, as a head has them',
    lengths: [3, 0, 5, 1],
    build: (g) =>
      g.node(
        'linear',
        { x: g.sequenceRows('x', 60), w: g.parameter('w', [3, 60]), b: g.parameter('b', [3]) },
        { activation: 'none' },
      ),
    gradients: ['x', 'w', 'b'],
  },
  {
    name: 'many rows in a long sum',
    lengths: [300],
    build: (g) =>
      g.node(
        'linear',
        { x: g.tokenRows('x', 9), w: g.parameter('w', [2, 9]), b: g.parameter('b', [2]) },
        { activation: 'none' },
      ),
    gradients: ['w', 'b'],
  },
])

/** Epilogues of the backward product, which a pass puts there in place of nodes that follow it. */
testOp(
  'linear_dx',
  ['none', 'mul', 'add'].flatMap((epilogue) =>
    [true, false].map((trained) => ({
      name: `epilogue ${epilogue}, ${trained ? 'trained' : 'frozen'}`,
      lengths: [7, 6],
      build: (g: CaseBuilder) => {
        const other = epilogue === 'none' ? undefined : g.tokenRows('other', 33)
        return g.node(
          'linear_dx',
          { dy: g.tokenRows('d', 61), w: weight(g, trained, 'w', [61, 33]), other },
          { epilogue },
        )
      },
    })),
  ),
)

testOp('linear_dw', [
  {
    name: 'weight and bias, whole numbers',
    lengths: [17, 14],
    build: (g) => {
      const small = (name: string, count: number) => Float32Array.from(integers(`dw/${name}`, count, -8, 8))
      const dy = g.tokenRows('d', 33, small('d', 31 * 33))
      return g.node('linear_dw', { dy, x: g.tokenRows('x', 18, small('x', 31 * 18)) }, {}, ['dw', 'db'])
    },
    exact: true,
  },
  {
    name: 'many rows and columns, whole numbers',
    lengths: [2060],
    build: (g) => {
      const dy = g.tokenRows('d', 133, Float32Array.from(integers('dw/many/d', 2060 * 133, -8, 8)))
      return g.node('linear_dw', { dy }, {}, ['db'])
    },
    exact: true,
  },
  { name: 'bias alone', lengths: [20], build: (g) => g.node('linear_dw', { dy: g.tokenRows('d', 5) }, {}, ['db']) },
])
