// Tests of addons with CUDA, one folder for each of two: `emulated`, with the stand-ins of test/native/cuda, and `compiled`,
// by the real compiler, on a machine without a GPU. ONNX_ADAPTERS_ADDON names the addon; scripts/test.mjs builds it.
export default {
  files: [`dist-test/test/cuda/${process.env.ONNX_ADAPTERS_CUDA_TESTS ?? '*'}/*.test.js`],
  workerThreads: false,
  timeout: '5m',
  concurrency: 2,
}
