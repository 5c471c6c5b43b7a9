// Tests of addons with CUDA: `gpu` on a real one or its stand-ins, `emulated` of what only stand-ins can play, `compiled` by
// the real compiler on a machine without a GPU. ONNX_ADAPTERS_ADDON names the addon; scripts/test.mjs builds it.
const folders = (process.env.ONNX_ADAPTERS_CUDA_TESTS ?? 'gpu').split(',')

export default {
  files: folders.map((folder) => `dist-test/test/cuda/${folder}/*.test.js`),
  workerThreads: false,
  timeout: '5m',
  concurrency: 2,
}
