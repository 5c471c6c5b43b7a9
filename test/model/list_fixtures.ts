/** Prints a line for each fixture, our own and the shared: imported with its largest difference, or refused with its error. */
import { join } from 'node:path'
import { checkFixture, type Expectation } from '../support/fixture_check.js'
import { goldenBackbone, readGolden as readOwn } from '../support/golden.js'
import { type Fixture, fixtures, readGolden } from '../support/onnx_fixtures.js'
import { sharedMissing } from '../support/shared.js'

/** The dump in test/golden as a fixture. */
function ownExpectation(): Expectation {
  const { inputIds, tokenTypeIds, tensors } = readOwn()
  const hidden = inputIds.map((ids, i) => {
    const { data, shape } = tensors.get(`hidden/${i}`)!
    const width = shape.at(-1)!
    return ids.map((_, t) => [...data.subarray(t * width, (t + 1) * width)])
  })
  const batch = { input_ids: inputIds, token_type_ids: tokenTypeIds, last_hidden_state: hidden }
  return {
    expectation: 'import',
    reason: '',
    tolerance: 2e-6,
    batches: [{ name: 'golden', padding: 'none', ...batch }],
  }
}

let failed = 0

async function list(fixture: Fixture, expectation: Expectation): Promise<void> {
  const { expected, text } = await checkFixture(fixture, expectation)
  console.log(`${expected ? '✔' : '✘'} ${fixture.name}: ${text}`)
  if (!expected) failed++
}

const own = ownExpectation()
for (const exporter of ['eager', 'sdpa'] as const)
  await list({ name: `golden/${exporter}`, model: join(goldenBackbone(exporter), 'model.onnx') }, own)
const shared = fixtures()
// The lines are counted as ava's are.
if (shared.length === 0) console.log(`- [skip] every shared fixture: ${sharedMissing}`)
for (const fixture of shared) await list(fixture, await readGolden(fixture.name))
if (failed > 0) {
  console.log(`${failed} tests failed`)
  process.exitCode = 1
}
