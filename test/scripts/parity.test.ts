import test from 'ava'
import { packagePath } from '../support/shared.js'

interface OpSummary {
  readonly op: string
  readonly cases: number
  readonly failed: number
  readonly share: number
  readonly case: string
}

test('each op has its case that came nearest to its budget', async (t) => {
  const { summariseOps } = (await import(packagePath('scripts', 'parity.mjs'))) as {
    summariseOps: (text: string) => OpSummary[]
  }
  const lines = [
    'mul: small\tcuda:0\t1e-7\t1e-6\t',
    'add: a, width 1\tcuda:0\t0\t0\t',
    'mul: large\tcuda:0\t6e-6\t1e-5\t',
    'mul: beyond\tcuda:0\t3e-6\t2e-6\toutput 0[3] is 1, expected 2',
  ]
  t.deepEqual(summariseOps(`${lines.join('\n')}\n`), [
    { op: 'add', cases: 1, failed: 0, error: 0, budget: 0, share: 0, case: 'add: a, width 1' },
    { op: 'mul', cases: 3, failed: 1, error: 3e-6, budget: 2e-6, share: 1.5, case: 'mul: beyond' },
  ] as never)
  t.deepEqual(summariseOps(''), [])
})
