/** The folder of a training, and disks that refuse it: clear errors, earlier states kept, nothing half left. */
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { evaluate, loadBackbone, train, type ProgressEvent } from '../../lib/index.js'
import { checkOutput, claimOutput } from '../../lib/train/output.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'
import { failHandles, fillDisk, makeReadOnly, noMount, smallDisk } from '../support/full_disk.js'
import { outcomeOf, prepareTraining, readJson } from '../support/training.js'
import { serialTestUnless } from '../support/unless.js'

test.serial('what a folder may hold', async (t) => {
  const folder = await temporaryFolder(t)
  const [empty, deep, notes, run] = ['empty', 'a/b/c', 'notes', 'run'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ]
  await mkdir(empty)
  await writeFiles(notes, { 'notes.txt': 'mine' })
  await writeFiles(run, { 'run.json': '{}', 'metrics.jsonl': '' })
  const modes = ['new', 'overwrite', 'resume'] as const
  for (const mode of modes)
    for (const fine of [empty, deep]) await t.notThrowsAsync(checkOutput(fine, mode), `${fine} ${mode}`)
  const taken = (message: RegExp) => ({ code: 'ERR_OUTPUT_EXISTS', message })
  await t.throwsAsync(checkOutput(notes, 'new'), taken(/is not empty; choose another output, or .*option "overwrite"/))
  await t.throwsAsync(checkOutput(notes, 'resume'), taken(/no run to go on with/))
  await t.throwsAsync(checkOutput(run, 'new'), taken(/holds a run; .*option "overwrite", or .*option "resume"/))
  for (const mode of ['overwrite', 'resume'] as const) await t.notThrowsAsync(checkOutput(run, mode))
  for (const mode of modes) {
    await t.throwsAsync(checkOutput(join(notes, 'notes.txt'), mode), { code: 'ERR_OPTION', message: /is a file/ })
    await t.throwsAsync(checkOutput(join(notes, 'notes.txt', 'x'), mode), { code: 'ERR_OPTION', message: /is a file/ })
  }
  t.deepEqual((await readdir(folder)).sort(), ['empty', 'notes', 'run'])

  const living = { pid: process.pid, host: hostname(), since: 'now', token: 'ab' }
  await writeFiles(empty, { 'run.lock': JSON.stringify(living) })
  for (const mode of modes) await t.throwsAsync(checkOutput(empty, mode), { code: 'ERR_RUN_BUSY' })
})

test.serial('a claim clears what a killed process left, and its own traces', async (t) => {
  const folder = await temporaryFolder(t)
  const deep = join(folder, 'a', 'b', 'c')
  await (await claimOutput(deep, 'new')).release()
  t.deepEqual(await readdir(folder), [])

  await writeFiles(deep, { '.run.json.5.1.tmp': '', 'run.lock': '', 'run.lock.ab': '' })
  const claim = await claimOutput(deep, 'new')
  t.deepEqual(await readdir(deep), ['run.lock'])
  await t.throwsAsync(claimOutput(deep, 'overwrite'), { code: 'ERR_RUN_BUSY' })
  await writeFiles(deep, { 'run.json': '{}', 'notes.txt': 'mine' })
  await claim.release()
  t.deepEqual((await readdir(deep)).sort(), ['notes.txt', 'run.json'])

  await t.throwsAsync(claimOutput(deep, 'new'), { code: 'ERR_OUTPUT_EXISTS' })
  await (await claimOutput(deep, 'resume')).release()
  t.deepEqual((await readdir(deep)).sort(), ['notes.txt', 'run.json'])
  await (await claimOutput(deep, 'overwrite')).release()
  t.deepEqual(await readdir(deep), ['notes.txt'])
})

test.serial('an output that is a file, refused before any work', async (t) => {
  const { folder, options } = await prepareTraining(t, { backbone: '/nowhere' })
  const output = join(folder, 'train.tsv')
  for (const more of [{}, { overwrite: true }, { resume: true }])
    await t.throwsAsync(train({ ...options, output, ...more }), { code: 'ERR_OPTION', message: /is a file/ })
})

const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))
/** Root may write everywhere: in its place somebody else trains. */
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
const cannotRun = spawnSync(process.execPath, [main, '--version'], nobody).status !== 0

serialTestUnless(
  cannotRun ? 'others than root may not run this package where it lies' : undefined,
  'a folder without permission is refused before any work',
  async (t) => {
    const { folder, options } = await prepareTraining(t)
    const output = join(folder, 'locked')
    await mkdir(output)
    await chmod(folder, 0o755)
    await chmod(output, 0o555)
    const flags = ['--backbone', '/nowhere', '--train', options.train as string, '--output', output]
    const { status, stderr } = spawnSync(process.execPath, [main, 'train', ...flags], { ...nobody, encoding: 'utf8' })
    t.is(status, 1)
    t.regex(stderr, /^error: ERR_RUN_WRITE: .*permission/)
  },
)

serialTestUnless(noMount, 'a read-only disk is refused before any work', async (t) => {
  const { options } = await prepareTraining(t, { backbone: '/nowhere' })
  const disk = await smallDisk(t, '64k')
  makeReadOnly(disk)
  const output = join(disk, 'a', 'run')
  await t.throwsAsync(train({ ...options, output }), { code: 'ERR_RUN_WRITE', message: /read-only \(EROFS\)/ })
})

serialTestUnless(noMount, 'a disk that fills up', async (t) => {
  const { options } = await prepareTraining(t)
  await train(options)
  const disk = await smallDisk(t, '512k')
  const output = join(disk, 'run')
  let kept: Buffer | undefined
  let filler = Promise.resolve('')
  const onProgress = (event: ProgressEvent) => {
    if (event.kind !== 'checkpoint' || event.epoch !== 1) return
    filler = readFile(join(output, 'checkpoint.safetensors')).then((bytes) => {
      kept = bytes
      return fillDisk(disk)
    })
  }
  const error = await t.throwsAsync(train({ ...options, output, onProgress }), { code: 'ERR_RUN_WRITE' })
  t.regex(error!.message, /no space is left/)
  t.deepEqual(await readFile(join(output, 'checkpoint.safetensors')), kept)
  t.deepEqual((await readdir(output)).sort(), ['checkpoint.safetensors', 'metrics.jsonl', 'run.json'])
  const log = await readFile(join(output, 'metrics.jsonl'), 'utf8')
  t.true(log.endsWith('}\n'))
  t.notThrows(() =>
    log
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  )
  await t.notThrowsAsync(readJson(join(output, 'run.json')))
  // The run can be used, and taken up when there is room again.
  t.is((await evaluate({ run: output, data: options.validation!, threads: 1 })).rows, 40)
  await rm(await filler)
  await train({ ...options, output, resume: true })
  t.deepEqual(await outcomeOf(output), await outcomeOf(options.output))
})

serialTestUnless(noMount, 'a disk full from the start', async (t) => {
  const { options } = await prepareTraining(t)
  const disk = await smallDisk(t, '64k')
  const filler = await fillDisk(disk)
  const output = join(disk, 'run')
  await t.throwsAsync(train({ ...options, output }), { code: 'ERR_RUN_WRITE', message: /no space is left/ })
  t.deepEqual(await readdir(disk), ['filler'])
  t.true((await stat(filler)).size > 0)
})

test.serial('any write may fail, and what was whole stays whole', async (t) => {
  const { folder, options: given } = await prepareTraining(t, { epochs: 2, checkpointSteps: 5 })
  const options = { ...given, backbone: await loadBackbone(given.backbone as string) }
  await train(options)
  const whole = await outcomeOf(options.output)
  // Each write of a run in its turn: record, log, the parts of checkpoints, adapter file.
  for (let failing = 1, done = false; !done; failing += 1 + Math.floor(failing / 3)) {
    const output = join(folder, `failing${failing}`)
    const mend = await failHandles('writeFile', 'ENOSPC', (call) => call === failing)
    const outcome = await train({ ...options, output }).then(
      () => undefined,
      (error: { code?: string }) => error.code,
    )
    mend()
    done = outcome === undefined
    t.true(done || outcome === 'ERR_RUN_WRITE', `write ${failing}: ${outcome}`)
    if (done) t.true(failing > 50, `write ${failing} did not fail`)
    const left = await readdir(output).catch(() => [])
    const names = ['adapter.safetensors', 'checkpoint.safetensors', 'metrics.jsonl', 'run.json']
    t.true(
      left.every((name) => names.includes(name)),
      `write ${failing}: ${left.join()}`,
    )
    await train({ ...options, output, resume: true })
    t.deepEqual(await outcomeOf(output), whole, `write ${failing}`)
  }
})
