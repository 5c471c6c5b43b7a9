// The tests of the packed package: apart from the others, since they need a network.
export default {
  files: ['dist-test/test/package/*.test.js'],
  workerThreads: false,
  timeout: '10m',
  concurrency: 1,
}
