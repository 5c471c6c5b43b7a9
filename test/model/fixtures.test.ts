/** Every encoder fixture through the public door: the hidden states of PyTorch, or an error that says why not. */
import test from 'ava'
import { checkFixture } from '../support/fixture_check.js'
import { fixtures, readGolden } from '../support/onnx_fixtures.js'
import { lacksShared, sharedPath } from '../support/shared.js'
import { testUnless } from '../support/unless.js'

const found = fixtures()
if (found.length === 0)
  testUnless(lacksShared(sharedPath('fixtures')), 'hidden states of every fixture', (t) => t.fail('no fixtures'))

for (const fixture of found) {
  test(`${fixture.name} is imported or refused as expected`, async (t) => {
    const { expected, text } = await checkFixture(fixture, await readGolden(fixture.name))
    t.true(expected, text)
  })
}
