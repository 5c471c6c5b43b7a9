/**
 * Makes the benchmark section of README.md (between its two marks) and the plot from bench/results/*.json.
 *
 *   npm run bench:readme
 */
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { writeAtomic } from '../lib/formats/atomic.js'
import { packageRoot } from '../lib/runtime/binding.js'
import { readResults } from './readme/results.js'
import { makePlot, plotFile, updateReadme } from './readme/section.js'

const root = packageRoot()
const readme = path.join(root, 'README.md')
const results = readResults(root)
const plot = makePlot(results)
if (plot) await writeAtomic(path.join(root, plotFile), plot)
else rmSync(path.join(root, plotFile), { force: true })
await writeAtomic(readme, updateReadme(readFileSync(readme, 'utf8'), results))
const count = Object.values(results).reduce((sum, list) => sum + list.length, 0)
console.log(`README.md: benchmark section made from ${count} results`)
