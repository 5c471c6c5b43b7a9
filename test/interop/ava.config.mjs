// Round trips with other libraries: apart from the others, since those must be installed. See scripts/interop.mjs.
export default {
  files: ['dist-test/test/interop/*.test.js'],
  workerThreads: false,
  timeout: '10m',
  concurrency: 1,
}
