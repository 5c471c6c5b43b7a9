// The engine without Node: oa_selftest, and oa_replay over the op cases that the ava tests recorded. Built in several
// ways, each in a folder of its own below build/.
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { buildFolder, root } from './native.mjs'
import { need, runTests, sumOf } from './tally.mjs'

export const recordings = join(buildFolder, 'recordings')

/** `definitions` of CMakeLists.txt, `replay` options of oa_replay, `emulator` in front of the programs. */
const variants = {
  release: {
    definitions: ['-DCMAKE_BUILD_TYPE=Release'],
    replay: ['--device', 'all', '--threads', '3', '--count-allocations'],
  },
  address: {
    definitions: ['-DCMAKE_BUILD_TYPE=Release', '-DOA_SANITIZE=address,undefined'],
    replay: ['--device', 'all', '--threads', '2'],
  },
  thread: {
    // Work is shared out alike for every instruction set, so one shows the races of all.
    definitions: ['-DCMAKE_BUILD_TYPE=Release', '-DOA_SANITIZE=thread', '-DOA_ISAS=scalar'],
    replay: ['--device', 'scalar', '--threads', '3', '--repeat', '2'],
  },
  // The kernels for GPUs on the CPU, with the stand-ins of test/native/cuda; and an addon of them, for tests with Node.
  emulated: {
    definitions: ['-DCMAKE_BUILD_TYPE=Release', '-DOA_CUDA=EMULATED', '-DOA_ISAS=scalar', '-DOA_ADDON=ON'],
    replay: ['--device', 'cuda', '--repeat', '2'],
  },
  'emulated-address': {
    definitions: [
      '-DCMAKE_BUILD_TYPE=Release',
      '-DOA_CUDA=EMULATED',
      '-DOA_ISAS=scalar',
      '-DOA_SANITIZE=address,undefined',
    ],
    replay: ['--device', 'cuda'],
  },
  arm64: {
    definitions: [
      '-DCMAKE_BUILD_TYPE=Release',
      '-DCMAKE_SYSTEM_NAME=Linux',
      '-DCMAKE_SYSTEM_PROCESSOR=aarch64',
      '-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++',
    ],
    replay: ['--device', 'neon', '--threads', '2'],
    emulator: ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu'],
  },
}

/** Where a variant is built. */
export function programFolder(name) {
  return join(buildFolder, name === 'release' ? 'tests' : `tests-${name}`)
}

/** Builds the programs of one variant and runs them; every case counts. */
export async function runPrograms(name) {
  const { definitions, replay, emulator = [] } = variants[name]
  const folder = programFolder(name)
  const quiet = ['-Wno-dev', '--log-level=WARNING']
  const options = ['-DOA_TESTS=ON', '-DOA_ADDON=OFF', ...definitions, ...quiet]
  need(`configuring the native tests (${name})`, 'cmake', ['-S', root, '-B', folder, ...options])
  const jobs = String(Math.min(8, availableParallelism()))
  need(`building the native tests (${name})`, 'cmake', ['--build', folder, '--parallel', jobs])
  const run = (program, args) => {
    const [command, ...rest] = [...emulator, join(folder, program), ...args]
    console.log(`\n${program} (${name})`)
    return runTests(command, rest, { count: countCases })
  }
  await run('oa_selftest', [])
  const files = existsSync(recordings) ? readdirSync(recordings).map((file) => join(recordings, file)) : []
  if (files.length > 0) await run('oa_replay', [...replay, ...files])
}

export function countCases(text) {
  return {
    passed: sumOf(text, /^(\d+) passed, \d+ failed$/gm),
    failed: sumOf(text, /^\d+ passed, (\d+) failed$/gm),
  }
}
