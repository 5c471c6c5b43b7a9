/** The GPU bench on a GPU or its stand-ins: rates of products by the library, parts by events, what it says of the GPU. */
import test from 'ava'
import { runGpuBench } from '../../../bench/gpu/run.js'
import { temporaryFolder } from '../../support/folder.js'

test('a tiny encoder is measured, and the library at its shapes', async (t) => {
  const report = await runGpuBench({
    device: 'cuda',
    precision: 'auto',
    threads: 1,
    shapes: ['tiny'],
    workloads: ['sst2'],
    rows: [2],
    models: ['8'],
    milliseconds: 1,
    batches: 1,
    turns: 1,
    folder: await temporaryFolder(t),
    seed: 3,
    peers: undefined,
    versions: undefined,
    skipped: [],
    quick: true,
    signal: new AbortController().signal,
    log: () => undefined,
    save: () => Promise.resolve(),
  })
  t.deepEqual(report.failed, [])
  t.regex(report.gpu!.toolkit, /^\d+\.\d+$/)
  t.regex(report.gpu!.cublaslt, /^\d+\.\d+\.\d+$/)
  t.regex(report.gpu!.driverCuda, /^\d+\.\d+$/)
  const [result] = report.results
  t.true(result!.products.length > 8)
  t.true(result!.products.every(({ flopsPerSecond }) => flopsPerSecond > 0))
  t.true(result!.shareOfProducts > 0)
  t.true(result!.split.milliseconds.backward! > 0 && result!.split.milliseconds.adapterBackward! > 0)
})
