import { readFileSync } from 'node:fs'
import test from 'ava'
import { choosePlot } from '../../bench/readme/plot.js'
import { readResults, type Results } from '../../bench/readme/results.js'
import { makePlot, plotFile, updateReadme } from '../../bench/readme/section.js'
import { drawSvg } from '../../bench/readme/svg.js'
import { makeTables } from '../../bench/readme/tables.js'
import { packagePath, packageRoot } from '../support/shared.js'

const none: Results = { throughput: [], peers: [], quality: [], gpu: [] }
const example = readResults(packageRoot, 'test/bench/results')

test('the README holds what the script makes from the committed results, the plot too', (t) => {
  const results = readResults(packageRoot)
  const readme = readFileSync(packagePath('README.md'), 'utf8')
  t.is(readme, updateReadme(readme, results), 'run: npm run bench:readme')
  const plot = makePlot(results)
  if (plot) t.is(readFileSync(packagePath(plotFile), 'utf8'), plot, 'run: npm run bench:readme')
})

test('results are found by kind', (t) => {
  t.deepEqual(
    [example.throughput.length, example.peers.length, example.quality.length, example.gpu.length],
    [1, 1, 1, 1],
  )
  t.is(example.peers[0]!.file, 'test/bench/results/peers.json')
  t.deepEqual(readResults(packageRoot, 'no/such/folder'), none)
})

test('tables hold rates, ratios, shares and differences', (t) => {
  const text = makeTables(example)
  for (const line of [
    '| adapters 64 | 4,000 | 1,000 | **4.0x** | 3,600 | 1,200 | **3.0x** | 400 | 1,900 |',
    'AdapterHub: 900 (MRPC lengths). PEFT LoRA r=8: 950 (MRPC lengths).',
    '| adapters 64 | 605,954 | 4,000 | 3,500 | 65 % | 40 / 10 / 48 / 2 | 9,000 | 200 |',
    '| trec | adapters 64 | 0.001, 3 | 95.1 ± 0.2 (5) | 94.8 ± 0.3 (5) | +0.3 |',
    '| trec | full fine-tuning | 0.0001, 3 | 95.0 (1) | 97.0 (1) | -2.0 (below) |',
    '| BERT-base, SST-2, 32 rows | adapters 64 | 2.00 | 200,000 | 60 % | 450 | **3.5x** | **1.5x** |',
    'over PyTorch eager | over PyTorch compile |',
    'NVIDIA Made-up, driver 580.1, CUDA 13.0, cuBLASLt 13.1.0, precision bfloat16, 2026-01-02: [`test/bench/results/gpu.json`]',
    'AMD EPYC (avx512), 2 threads, 2026-01-02: [`test/bench/results/peers.json`](test/bench/results/peers.json).',
  ])
    t.true(text.includes(line), `${line}\n\nin\n\n${text}`)
  t.is(makeTables(none), 'No results are committed yet.')
})

test('every row of a table has as many cells as its header', (t) => {
  for (const block of makeTables(example).split('\n\n')) {
    if (!block.startsWith('|')) continue
    const counts = new Set(block.split('\n').map((line) => line.split('|').length))
    t.is(counts.size, 1, block)
  }
})

test('the plot shows ours beside the others; without them training beside inference', (t) => {
  const plot = choosePlot(example)!
  t.deepEqual(plot.series, [
    'onnx-adapters',
    'PyTorch, bucketed by length',
    'PyTorch, padded to the longest row',
    'AdapterHub, bucketed',
    'PEFT LoRA r=8, bucketed',
  ])
  const [mrpc, equal] = plot.panels
  t.deepEqual(
    mrpc!.groups[0]!.bars.map(({ value }) => value),
    [4000, 1000, 500, 900, 950],
  )
  t.deepEqual(
    equal!.groups[0]!.bars.map(({ series, value }) => [series, value]),
    [
      [0, 3600],
      [1, 1200],
    ],
  )
  t.deepEqual(choosePlot({ ...example, peers: [] })!.series, ['training', 'inference'])
  t.is(choosePlot(none), undefined)
})

test('the plot is well-formed SVG with a title, the numbers in words, and colours for light and dark', (t) => {
  const svg = makePlot(example)!
  t.regex(svg, /role="img" aria-labelledby="title description"/)
  t.regex(svg, /<desc id="description">[^<]*adapters 64: onnx-adapters 4,000, PyTorch/)
  t.regex(svg, /prefers-color-scheme:dark/)
  t.is(count(svg, /<rect class="s\d" x="[\d.]+" y="[\d.]+" width="[\d.]+" height/g), 5 + (5 + 3) + (2 + 2))
  t.is(count(svg, /<text/g), count(svg, /<\/text>/g))
  t.notRegex(svg, /NaN|undefined|Infinity/)
  const strange = drawSvg({ title: 'a < b & c', series: ['x'], panels: [] })
  t.true(strange.includes('a &lt; b &amp; c'))
})

test('a README without the marks is refused', (t) => {
  t.throws(() => updateReadme('# x\n', none), { message: /lacks the marks/ })
})

function count(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].length
}
