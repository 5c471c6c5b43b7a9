/**
 * Files that say the same in other words must import the same: mutations that keep what a model computes, alone and in
 * stacks, on our own golden files and on the shared fixtures. ONNX Runtime proves, where it is installed, that a mutation
 * kept the meaning. ONNX_ADAPTERS_MUTATION_SEEDS asks for more seeds than the usual one.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { OnnxImportError } from '../../lib/errors.js'
import { importEncoder, type ImportedEncoder } from '../../lib/onnx/import.js'
import { decodeModel, readModel } from '../../lib/onnx/read.js'
import { DataType, type OnnxModel } from '../../lib/onnx/schema.js'
import { difference } from '../support/essence.js'
import { goldenBackbone } from '../support/golden.js'
import { type Mutation, mutate, mutations, stackOf } from '../support/mutate/index.js'
import { fixtures, readGolden } from '../support/onnx_fixtures.js'
import { runtimeOutputs } from '../support/onnx_runtime.js'
import { seedOf } from '../support/random.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { lacksRuntime, testUnless } from '../support/unless.js'

const seeds = Number(process.env['ONNX_ADAPTERS_MUTATION_SEEDS'] ?? 1)

interface Base {
  readonly model: OnnxModel
  readonly truth: ImportedEncoder
  readonly outputs?: ReadonlyMap<string, Float32Array>
  readonly tolerance: number
}

async function readBase(file: string): Promise<Base> {
  const model = await readModel(file)
  // Half floats are rounded at every step, so that another order of steps shows.
  const { graph } = model
  const half = graph!.initializer.some(({ dataType }) => dataType === DataType.float16)
  const outputs = lacksRuntime ? undefined : await runtimeOutputs(model, outputNames(model))
  return { model, truth: importEncoder(model), tolerance: half ? 2e-2 : 1e-4, ...(outputs ? { outputs } : {}) }
}

function outputNames({ graph }: OnnxModel): string[] {
  return graph!.output.map(({ name }) => name!)
}

async function check(t: ExecutionContext, base: Base, chosen: readonly Mutation[], seed: number): Promise<void> {
  const label = `${chosen.map(({ name }) => name).join(', ')}, seed ${seed}`
  const { model, count } = mutate(base.model, chosen, seed)
  if (count === 0) return
  if (base.outputs) {
    const outputs = await runtimeOutputs(model, outputNames(base.model))
    for (const [name, truth] of base.outputs) {
      const off = truth.reduce((most, x, i) => {
        const next = Math.abs(x - outputs.get(name)![i]!)
        return next <= most ? most : next
      }, 0)
      t.true(off <= base.tolerance, `${label}: ONNX Runtime gives other values of ${name}, by ${off}`)
    }
  }
  try {
    t.is(difference(importEncoder(model), base.truth), undefined, label)
  } catch (error) {
    t.fail(`${label}: ${String(error)}`)
  }
}

const changing = new Set<string>()

for (const exporter of ['eager', 'sdpa'] as const) {
  const file = join(goldenBackbone(exporter), 'model.onnx')
  const plain = decodeModel(readFileSync(file), file)
  // Not every export has something for every mutation.
  for (const mutation of mutations.filter((one) => mutate(plain, [one], 1).count > 0)) {
    changing.add(mutation.name)
    test(`the golden ${exporter} export after ${mutation.name}`, async (t) => {
      const base = await readBase(file)
      for (let seed = 1; seed <= 2 + seeds; seed++) await check(t, base, [mutation], seed)
    })
  }
  test(`the golden ${exporter} export after stacks of mutations`, async (t) => {
    const base = await readBase(file)
    for (let seed = 1; seed <= 24 * seeds; seed++) await check(t, base, stackOf(seed, 2 + (seed % 6)), seed)
  })
}

test('every mutation changes something', (t) => {
  t.deepEqual([...changing].sort(), mutations.map(({ name }) => name).sort())
})

const found = fixtures()
if (!found.length)
  testUnless(lacksShared(sharedPath('fixtures')), 'mutations of every fixture', (t) => t.fail('no fixtures'))

/** A few of all mutations for each file, others for other files. */
const share = 5

for (const { name, model } of found) {
  test(`${name} after mutations`, async (t) => {
    if ((await readGolden(name)).expectation === 'reject' || name.startsWith('mpnet')) {
      const file = await readModel(model)
      t.throws(() => importEncoder(file), { instanceOf: OnnxImportError })
      // What is refused stays so.
      for (const [i, mutation] of mutations.entries()) {
        if (/int8|qdq/.test(name) || (i + seedOf(name)) % share) continue
        const changed = mutate(file, [mutation], i).model
        t.throws(() => importEncoder(changed), { instanceOf: OnnxImportError }, mutation.name)
      }
      return
    }
    const base = await readBase(model)
    const first = seedOf(name)
    for (let seed = first; seed < first + seeds; seed++) {
      for (const [i, mutation] of mutations.entries())
        if (seeds > 1 || (i + seed) % share === 0) await check(t, base, [mutation], seed)
      for (let stack = 0; stack < 2; stack++) await check(t, base, stackOf(seed + stack, 6), seed)
    }
  })
}
