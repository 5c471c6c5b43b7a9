/** What a machine with a GPU says of itself, and what it says where something is missing. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'
import { describe } from '../../../lib/runtime/binding.js'
import { resolveDevice } from '../../../lib/runtime/device.js'

const run = promisify(execFile)

test('the GPU is described, and auto takes it', (t) => {
  const { cuda } = describe()
  t.true(cuda.ok, cuda.reason)
  t.is(cuda.gpus.length, 1)
  t.deepEqual(resolveDevice('auto').kind, 'cuda')
  t.is(resolveDevice('cuda').isa, 'cuda:0')
  t.is(resolveDevice('cpu').kind, 'cpu')
})

test('a GPU that is not there', (t) => {
  t.throws(() => resolveDevice('cuda:1'), { code: 'ERR_DEVICE', message: /there is no GPU 1; there is 0: / })
})

const broken: Readonly<Record<string, RegExp>> = {
  'no-driver': /no NVIDIA driver was found; install one/,
  'old-driver': /driver supports CUDA 12\.0, the addon was built with CUDA 13\.0: install a newer driver/,
  'no-gpu': /no NVIDIA GPU is visible to this process/,
  'old-gpu': /sm_70.* is too old: sm_80/,
  'no-cublaslt': /cuBLASLt 13 was not found \(tried libcublasLt\.so\.13\)/,
  'old-cublaslt': /is cuBLASLt 12, but the addon was built with CUDA 13/,
}

for (const [machine, expected] of Object.entries(broken)) {
  test(`${machine}: cuda is refused with the reason, auto takes the CPU`, async (t) => {
    const program = `
      import { describe } from ${JSON.stringify(new URL('../../../lib/runtime/binding.js', import.meta.url).href)}
      import { resolveDevice } from ${JSON.stringify(new URL('../../../lib/runtime/device.js', import.meta.url).href)}
      let refusal
      try { resolveDevice('cuda') } catch (error) { refusal = { code: error.code, message: error.message } }
      console.log(JSON.stringify({ cuda: describe().cuda, auto: resolveDevice('auto').kind, refusal }))`
    const env = { ...process.env, ONNX_ADAPTERS_STANDIN: machine }
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], { env })
    const said = JSON.parse(stdout) as {
      cuda: { ok: boolean }
      auto: string
      refusal: { code: string; message: string }
    }
    t.false(said.cuda.ok)
    t.is(said.auto, 'cpu')
    t.is(said.refusal.code, 'ERR_DEVICE')
    t.regex(said.refusal.message, expected)
  })
}
