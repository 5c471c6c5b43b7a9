/** Installs the packed package into empty folders, in every way that npm has, and uses it there. */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Consumer, packTarballs, registryMissing, type Tarballs } from '../support/consumer.js'

const missing = await registryMissing()
let packed: Promise<Tarballs> | undefined
const tarballs = () => (packed ??= packTarballs())
test.after.always(async () => packed && rm((await packed).folder, { recursive: true, force: true }))

function installs(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (missing) test.skip(`${title}: ${missing}`, body)
  else test.serial(title, body)
}

async function works(t: ExecutionContext, consumer: Consumer): Promise<void> {
  const doctor = await consumer.command(['doctor', '--json'])
  t.is(doctor.status, 0, doctor.stdout + doctor.stderr)
  const trained = await consumer.train()
  t.is(trained.status, 0, trained.stdout + trained.stderr)
  t.regex(trained.stdout, /best epoch/)
  t.true(existsSync(join(consumer.folder, 'run', 'adapter.safetensors')))
}

installs('with scripts: the prebuilt addon is taken, nothing is compiled', async (t) => {
  const consumer = await Consumer.install(t, (await tarballs()).prebuilt)
  t.regex(consumer.log, /uses the prebuilt addon/)
  t.false(existsSync(join(consumer.folder, 'node_modules', 'onnx-adapters', 'build')))
  await works(t, consumer)
  const { stdout } = await consumer.command(['doctor'])
  t.regex(stdout, /onnxruntime-node +\d/)
})

installs('without scripts and without ONNX Runtime: works, and says that nothing was compared', async (t) => {
  const consumer = await Consumer.install(t, (await tarballs()).prebuilt, ['--ignore-scripts', '--omit=optional'])
  t.false(existsSync(join(consumer.folder, 'node_modules', 'onnxruntime-node')))
  const { stdout } = await consumer.command(['doctor'])
  t.regex(stdout, /onnxruntime-node +not installed/)
  await works(t, consumer)

  const module = await consumer.program(
    'program.mjs',
    `import { train } from 'onnx-adapters'\nconsole.log(typeof train)`,
  )
  t.deepEqual(module, { status: 0, stdout: 'function\n', stderr: '' })
  const script = await consumer.program('script.cjs', `console.log(typeof require('onnx-adapters').train)`)
  t.deepEqual([script.status, script.stdout], [0, 'function\n'], script.stderr)
})

installs('without scripts and without a prebuilt addon: the error names the command that builds one', async (t) => {
  const consumer = await Consumer.install(t, (await tarballs()).plain, ['--ignore-scripts'])
  const doctor = await consumer.command(['doctor'])
  t.is(doctor.status, 1)
  t.regex(doctor.stdout, /npx onnx-adapters build/)
  const trained = await consumer.train()
  t.is(trained.status, 1)
  t.regex(trained.stderr, /^error: ERR_ADDON: [^]*npx onnx-adapters build/m)

  // One instruction set: what is tried is the way, not the kernels.
  const built = await consumer.command(['build'], { ONNX_ADAPTERS_ISAS: 'scalar' })
  t.is(built.status, 0, built.stdout + built.stderr)
  await works(t, consumer)
})
