/** The addon with real CUDA kernels on a machine without a driver: it loads, says what is missing, and trains on the CPU. */
import { join } from 'node:path'
import test from 'ava'
import { describe } from '../../../lib/runtime/binding.js'
import { resolveDevice } from '../../../lib/runtime/device.js'
import { train } from '../../../lib/index.js'
import { prepareTraining, readJson } from '../../support/training.js'

test('it knows its toolkit and why there is no GPU', (t) => {
  const { cuda } = describe()
  t.regex(cuda.toolkit, /^1[2-9]\.\d+$/)
  t.false(cuda.ok)
  t.regex(cuda.reason, /driver|GPU/)
  t.throws(() => resolveDevice('cuda'), { code: 'ERR_DEVICE', message: /device 'cuda:0' cannot be used: / })
})

test('auto trains on the CPU', async (t) => {
  const { options } = await prepareTraining(t, { epochs: 1, trainRows: 16 })
  const { output } = await train(options)
  const record = await readJson(join(output, 'run.json'))
  t.is((record['device'] as { kind: string }).kind, 'cpu')
})
