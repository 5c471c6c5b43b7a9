/**
 * Joins our quality runs with those of PyTorch, by recipe, and judges them: means over seeds, standard errors, the
 * difference, and whether it passes.
 *
 *   npm run bench:quality:summary -- --ours runs.jsonl --torch sweep.jsonl --output bench/results/quality-NAME.json
 *
 * `--table` reads a Markdown table of earlier PyTorch results; lines of `--torch` with the same recipe and seed win.
 * Both options may be given more than once.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { resultJson } from '../lib/bench/json.js'
import { describeMachine } from '../lib/bench/machine.js'
import { ourRuns, torchRuns, torchTable, type QualityRun } from './quality/lines.js'
import { printSummary, rule, summarise, type QualityReport, type QualitySummary } from './quality/summary.js'

const { values: args } = parseArgs({
  options: {
    ours: { type: 'string', multiple: true, default: [] },
    torch: { type: 'string', multiple: true, default: [] },
    table: { type: 'string', multiple: true, default: [] },
    output: { type: 'string' },
  },
})
const read = (file: string) => readFileSync(file, 'utf8')
const ours = args.ours.flatMap((file) => ourRuns(read(file)))
const summary = summarise([
  ...args.table.flatMap((file) => torchTable(read(file))),
  ...args.torch.flatMap((file) => torchRuns(read(file))),
  ...ours,
])
// Where and how, as the last of our lines says.
const last = ours.at(-1) as (QualityRun & Omit<QualityReport, keyof QualitySummary>) | undefined
const report: QualityReport = {
  format: 1,
  kind: 'quality',
  what: 'quality on dev sets, best epoch, points; all-MiniLM-L6-v2, batch 32',
  rule,
  machine: last?.machine ?? describeMachine(),
  threads: last?.threads ?? 0,
  pool: last?.pool ?? '',
  ...summary,
}
if (args.output) writeFileSync(args.output, resultJson(report))
console.log(printSummary(summary))
