import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { MetricsLog } from '../../lib/train/metrics_log.js'
import type { ProgressEvent } from '../../lib/train/progress.js'
import { temporaryFolder } from '../support/folder.js'
import { failHandles } from '../support/full_disk.js'

const step = (number: number): ProgressEvent => ({
  kind: 'step',
  epoch: 1,
  step: number,
  steps: 100,
  loss: 1,
  gradientNorm: 1,
  learningRate: 1,
  tokens: 10,
  milliseconds: 1,
})

async function stepsIn(file: string): Promise<number[]> {
  const lines = (await readFile(file, 'utf8')).split('\n')
  if (lines.pop() !== '') throw new Error('the last line is not whole')
  return lines.map((line) => (JSON.parse(line) as { step: number }).step)
}

test.serial('steps and evaluations, in order, once they are committed', async (t) => {
  const file = join(await temporaryFolder(t), 'metrics.jsonl')
  const log = await MetricsLog.open(file)
  for (let i = 1; i <= 150; i++) log.add(step(i))
  log.add({ kind: 'checkpoint', epoch: 1, step: 150 })
  log.add({ kind: 'warning', code: 'W', message: 'm' })
  const bytes = await log.commit()
  t.deepEqual(
    await stepsIn(file),
    Array.from({ length: 150 }, (_, i) => i + 1),
  )
  t.is(bytes, (await readFile(file)).length)
})

test.serial('goes on from a length', async (t) => {
  const file = join(await temporaryFolder(t), 'metrics.jsonl')
  const first = await MetricsLog.open(file)
  first.add(step(1))
  const bytes = await first.commit()
  first.add(step(2))
  await first.commit()
  const again = await MetricsLog.open(file, bytes)
  again.add(step(2))
  again.add(step(3))
  await again.commit()
  t.deepEqual(await stepsIn(file), [1, 2, 3])
  // A log that somebody has removed begins anew, without holes.
  await writeFile(file, '')
  const anew = await MetricsLog.open(file, 10_000)
  anew.add(step(7))
  await anew.commit()
  t.deepEqual(await stepsIn(file), [7])
})

test.serial('a write that fails is told, and leaves whole lines', async (t) => {
  const file = join(await temporaryFolder(t), 'metrics.jsonl')
  const log = await MetricsLog.open(file)
  log.add(step(1))
  await log.commit()
  t.teardown(await failHandles('writeFile', 'ENOSPC', (call) => call === 1))
  for (let i = 2; i <= 70; i++) log.add(step(i))
  await t.throwsAsync(log.commit(), { code: 'ERR_RUN_WRITE', message: /metrics\.jsonl.*no space/ })
  t.deepEqual(await stepsIn(file), [1])
})
