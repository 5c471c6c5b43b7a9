/** Models that say the same in other words are exported too: the importer's mutations, alone and in stacks. */
import { join } from 'node:path'
import test from 'ava'
import { loadBackbone } from '../../lib/backbone/load.js'
import { exportRun } from '../../lib/export/export.js'
import { readModel } from '../../lib/onnx/read.js'
import { writeModel } from '../../lib/onnx/write.js'
import { makeRun } from '../support/exported.js'
import { temporaryFolder } from '../support/folder.js'
import { goldenBackbone } from '../support/golden.js'
import { mutate, mutations, stackOf, type Mutation } from '../support/mutate/index.js'
import { lacksRuntime, serialTestUnless } from '../support/unless.js'

const seeds = Number(process.env['ONNX_ADAPTERS_MUTATION_SEEDS'] ?? 1)

/** Each file has half of them. */
for (const [half, exporter] of (['eager', 'sdpa'] as const).entries()) {
  serialTestUnless(lacksRuntime, `the golden ${exporter} export after mutations: exported`, async (t) => {
    const folder = await temporaryFolder(t)
    const plain = await readModel(join(goldenBackbone(exporter), 'model.onnx'))
    const stacks = Array.from({ length: 3 * seeds }, (_, i) => stackOf(2 * i + half, 5))
    const all: readonly (readonly Mutation[])[] = [
      ...mutations.filter((_, i) => i % 2 === half).map((one) => [one]),
      ...stacks,
    ]
    for (const [seed, chosen] of all.entries()) {
      const names = chosen.map(({ name }) => name).join(', ')
      const { model, count } = mutate(plain, chosen, seed)
      if (count === 0) continue
      const file = join(folder, `${seed}.onnx`)
      await writeModel(model, file)
      const backbone = await loadBackbone(file, { verify: false })
      const run = await makeRun(join(folder, `run${seed}`), backbone, { pool: seed % 2 ? 'mean' : 'cls' })
      const options = { output: join(folder, `out${seed}.onnx`), backbone }
      // A stack of one task asks for more than the task alone.
      const result = await exportRun(run, { ...options, to: 'onnx-inputs', mixed: seed % 2 === 0 }).catch(
        (error: unknown) => error as Error,
      )
      if (result instanceof Error) t.fail(`${names}, seed ${seed}: ${result.message}`)
      else t.true(result.maxAbsDifference! <= 2e-5, names)
      await exportRun(run, { ...options, to: 'onnx', overwrite: true, verify: seed % 3 === 0 })
    }
  })
}

test('there are mutations', (t) => t.true(mutations.length > 10))
