// The recorded op cases and training steps on the GPU of this machine: against the values that the CPU's are held to, and
// again under compute-sanitizer.
import { readdirSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { folder } from './nvcc.mjs'
import { countCases, recordings } from './programs.mjs'
import { count, runTests } from './tally.mjs'

const tools = ['memcheck', 'racecheck']

export async function replayOnGpu() {
  const files = readdirSync(recordings).map((file) => join(recordings, file))
  const replay = [join(folder, 'oa_replay'), '--device', 'cuda', '--repeat', '2', ...files]
  await run([], replay)
  for (const tool of tools) {
    const refusal = whyNot(tool)
    if (refusal) {
      console.log(`skipped: op cases under compute-sanitizer --tool ${tool}: ${refusal}`)
      count({ skipped: 1 })
    } else await run(['compute-sanitizer', '--tool', tool, '--error-exitcode', '1'], replay)
  }
}

function run(prefix, args) {
  const [command, ...rest] = [...prefix, ...args]
  console.log(`\noa_replay on the GPU${prefix.length > 0 ? ` under ${prefix.slice(0, 3).join(' ')}` : ''}`)
  return runTests(command, rest, { count: countCases })
}

/** Some hosts have the tool but forbid what it needs: it is tried on a program that does nothing on the GPU. */
function whyNot(tool) {
  const trial = spawnSync('compute-sanitizer', ['--tool', tool, process.execPath, '--version'], { encoding: 'utf8' })
  if (trial.error) return 'the tool was not found'
  return trial.status === 0 ? undefined : `it fails here: ${(trial.stderr || trial.stdout).trim().split('\n')[0]}`
}
