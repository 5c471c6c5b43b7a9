import test from 'ava'
import { ourRuns, parseLines, torchRuns, torchTable, type QualityRun } from '../../bench/quality/lines.js'
import { dropoutOf, mainMetric, parseRecipes, recipeKey } from '../../bench/quality/recipe.js'
import { printSummary, summarise } from '../../bench/quality/summary.js'
import { modelOptions } from '../../bench/support/model.js'

test('a recipe gives one run a seed', (t) => {
  const runs = parseRecipes('trec:64:1e-3:3:0-2,7')
  t.deepEqual(
    runs.map(({ seed }) => seed),
    [0, 1, 2, 7],
  )
  t.is(recipeKey(runs[3]!), 'trec:64:0.001:3:7')
  t.is(recipeKey(parseRecipes('mrpc:full:0.0001:5')[0]!), 'mrpc:full:0.0001:5:0')
})

test('a wrong recipe names its wrong part', (t) => {
  const wrong = [
    ['trec:64', /learning rate/],
    ['trec:lora:1e-3:3', /model "lora"/],
    ['trec:64:1e-3:0', /epochs/],
    ['trec:64:1e-3:3:4-2', /"4-2" is not a seed/],
    ['trec:64:1e-3:3:0:mean', /too many/],
  ] as const
  for (const [text, message] of wrong) t.throws(() => parseRecipes(text), { message })
})

test('models map to options of train()', (t) => {
  t.deepEqual(modelOptions('8').adapter, { size: 8 })
  t.is(modelOptions('full').trainable, 'all')
  t.deepEqual(modelOptions('top-2').trainable, { topLayers: 2 })
  t.deepEqual(modelOptions('layernorm').trainable, ['layerNorm', 'head'])
  t.is(dropoutOf('64'), 0.1)
  t.deepEqual(dropoutOf('head'), { hidden: 0, attention: 0, head: 0.1 })
})

test('the main metric is the one the task is judged by', (t) => {
  t.is(mainMetric('cola', { accuracy: 0.7, matthews: 0.25 }), 0.25)
  t.is(mainMetric('stsb', { pearson: 0.8, spearman: 0.9 }), (0.8 + 0.9) / 2)
  t.is(mainMetric('trec', { accuracy: 0.7, matthews: 0.25 }), 0.7)
  t.throws(() => mainMetric('stsb', { accuracy: 1 }), { message: /pearson/ })
})

test('lines of both engines and the table of earlier results are read', (t) => {
  const torch = {
    task: 'trec',
    model: '64',
    settings: { lr: 0.001, epochs: 2, seed: 3 },
    epochs: [{ main: 0.9 }, { main: NaN }],
    wall_seconds: 5,
  }
  // As Python writes it.
  const text = JSON.stringify(torch).replace('null', ' NaN')
  t.like(torchRuns(`${text}\n{"task": "cut sh`)[0], { engine: 'torch', seed: 3, best: 0.9, seconds: 5 })
  t.throws(() => parseLines('broken\n{}\n'), { message: /line 1/ })
  t.like(ourRuns('{"engine":"onnx-adapters","best":0.5}\n')[0], { best: 0.5 })
  const table = torchTable(
    [
      '| task | model | learning rate | epochs | seed | best | by epoch |',
      '|---|---|---|---|---|---|---|',
      '| cola | adapters 64 | 0.001 | 3 | 0 | mcc 0.261, accuracy 0.726 | 0.018 0.261 0.249 |',
      '| stsb | full | 0.0001 | 3 | 1 | pearson 0.868, spearman 0.866 | 0.857 0.865 0.867 |',
    ].join('\n'),
  )
  t.like(table[0], { task: 'cola', model: '64', best: 0.261, byEpoch: [0.018, 0.261, 0.249] })
  t.like(table[1], { model: 'full', seed: 1, best: 0.867 })
})

const run = (engine: QualityRun['engine'], seed: number, best: number, model = '64'): QualityRun => ({
  engine,
  task: 'trec',
  model,
  learningRate: 1e-3,
  epochs: 3,
  seed,
  best,
  byEpoch: [best],
})

test('a mean may be half a point, or two standard errors of the difference, below', (t) => {
  const close = summarise([run('torch', 0, 0.9), run('torch', 1, 0.9), run('onnx-adapters', 0, 0.896)])
  t.like(close.comparisons[0], { difference: -0.4, standardErrorOfDifference: null, allowed: 0.5, passes: true })
  const wide = summarise([
    ...[0.8, 0.9, 1.0].map((best, seed) => run('torch', seed, best)),
    ...[0.8, 0.86, 0.92].map((best, seed) => run('onnx-adapters', seed, best)),
  ]).comparisons[0]!
  t.deepEqual([wide.torch!.mean, wide.ours!.mean, wide.difference], [90, 86, -4])
  // Sample variances 100 and 36, three seeds each: sqrt(100/3 + 36/3).
  t.is(wide.standardErrorOfDifference, 6.733)
  t.true(wide.passes)
  t.false(summarise([run('torch', 0, 0.9), run('onnx-adapters', 0, 0.89)]).comparisons[0]!.passes)
})

test('the later run of a seed counts, and adapters are held against full fine-tuning', (t) => {
  const summary = summarise([
    run('onnx-adapters', 0, 0.5),
    run('onnx-adapters', 0, 0.9),
    run('onnx-adapters', 0, 0.88, '8'),
    run('onnx-adapters', 0, 0.905, 'full'),
  ])
  t.is(summary.comparisons[0]!.ours!.n, 1)
  t.like(summary.againstFull[0], { adapters: 'trec:64:0.001:3', difference: -0.5, passes: true })
  t.true(printSummary(summary).includes('passes'))
})
