/** Rows of many tasks in one batch are judged as each task alone judges them. */
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { loadBackbone, OptionError, type Backbone, type TrainerOptions } from '../../lib/index.js'
import { packRows } from '../../lib/train/batch.js'
import { modelShape, SharedModel } from '../../lib/predict/shared_model.js'
import { writeModel } from '../../lib/onnx/write.js'
import { resolveDevice } from '../../lib/runtime/device.js'
import { TaskModel } from '../../lib/train/task_model.js'
import { resolveTrainerOptions } from '../../lib/train/trainer_options.js'
import { temporaryFolder, tinyBackbone } from '../support/folder.js'
import { tinyBert } from '../support/onnx_models.js'

type Options = Omit<TrainerOptions, 'backbone'>

async function openBackbone(t: ExecutionContext): Promise<Backbone> {
  return loadBackbone(await tinyBackbone(join(await temporaryFolder(t), 'backbone')))
}

/** Rows of several lengths, others for each task. */
function rowsOf(seed: number, count: number) {
  const length = (i: number) => 2 + ((7 * seed + 3 * i) % 9)
  const inputIds = Array.from({ length: count }, (_, i) =>
    Array.from({ length: length(i) }, (_, k) => 1 + ((seed + i + 5 * k) % 7)),
  )
  return { inputIds }
}

/** A task with tensors of its own, far from their start. */
async function openTask(backbone: Backbone, options: Options, seed: number): Promise<TaskModel> {
  const model = await TaskModel.create({ backbone, threads: 1, ...options })
  const tensors = await model.tensors()
  let state = seed + 1
  for (const { data } of tensors.values())
    for (let i = 0; i < data.length; i++) data[i]! += ((state = (state * 48271) % 2147483647) / 2147483647 - 0.5) * 0.4
  await model.setParameters(tensors)
  return model
}

const cases: readonly (readonly [what: string, options: Options, widths: readonly number[]])[] = [
  [
    'classes, heads of several widths',
    { task: { kind: 'classification', outputs: 2 }, adapter: { size: 5 } },
    [2, 6, 3],
  ],
  ['mean pooling', { task: 'regression', adapter: { size: 8 }, head: { pool: 'mean' } }, [1, 1]],
  ['a head over tokens', { task: { kind: 'token', outputs: 3 }, adapter: { size: 4 } }, [3, 5]],
  [
    'adapters in one layer',
    { task: { kind: 'classification', outputs: 2 }, adapter: { size: 4, layers: [1] } },
    [2, 2],
  ],
  ['the whole encoder', { task: { kind: 'classification', outputs: 2 }, trainable: 'all' }, [2, 4]],
  [
    'LayerNorm and head alone',
    { task: { kind: 'classification', outputs: 17 }, trainable: ['layerNorm', 'head'] },
    [17],
  ],
]

for (const [what, options, widths] of cases) {
  test(`each task alone, and all in one batch: ${what}`, async (t) => {
    const backbone = await openBackbone(t)
    const resolved = (outputs: number) => {
      const kind = typeof options.task === 'string' ? options.task : options.task.kind
      return { ...options, task: { kind, outputs } }
    }
    const { isa } = resolveDevice('cpu')
    const model = resolveTrainerOptions({ backbone, ...resolved(widths[0]!) } as TrainerOptions)
    const shared = await SharedModel.create(backbone, model, isa, 2)
    const groups = []
    const expected: Float32Array[][] = []
    for (const [i, outputs] of widths.entries()) {
      const alone = await openTask(backbone, resolved(outputs), i)
      const rows = rowsOf(i, 1 + 3 * i)
      expected.push(await alone.forward(rows))
      groups.push({ task: await shared.add(outputs, await alone.tensors()), rows: packRows(rows, shared.limits) })
      await alone.dispose()
    }
    t.deepEqual(
      groups.map(({ task }) => task),
      widths.map((_, i) => i),
    )
    const close = (got: readonly Float32Array[], wanted: readonly Float32Array[]) =>
      got.length === wanted.length &&
      got.every(
        (row, r) => row.length === wanted[r]!.length && row.every((v, i) => Math.abs(v - wanted[r]![i]!) < 1e-5),
      )
    const mixed = [groups, [...groups].reverse()]
    for (const order of shared.mixes ? mixed : groups.map((group) => [group])) {
      const found = await shared.forward(order)
      for (const [g, group] of order.entries()) t.true(close(found[g]!, expected[group.task]!), `task ${group.task}`)
    }
    if (!shared.mixes) {
      const together = shared.forward(groups)
      await t.throwsAsync(together, { code: 'ERR_BATCH', message: /rows of 2 tasks, but embedding/ })
    }
    const differs = expected.length < 2 || !close(expected[0]!.slice(0, 1), expected[1]!.slice(0, 1))
    t.true(differs, 'tasks must differ, or a mix-up would not show')
    await shared.dispose()
  })
}

/** A model without tasks, and tensors that one may have. */
async function openEmpty(t: ExecutionContext) {
  const backbone = await openBackbone(t)
  const options: TrainerOptions = { backbone, task: { kind: 'classification', outputs: 2 }, adapter: { size: 4 } }
  const { isa } = resolveDevice('cpu')
  const shared = await SharedModel.create(backbone, resolveTrainerOptions(options), isa, 1)
  await using model = await TaskModel.create({ ...options, threads: 1 })
  t.teardown(() => shared.dispose())
  return { shared, tensors: await model.tensors() }
}

test('layers that share weights in the file may have been trained apart', async (t) => {
  const file = join(await temporaryFolder(t), 'model.onnx')
  await writeModel(tinyBert({ shared: true }), file)
  const backbone = await loadBackbone(file, { verify: false })
  const options: Options = { task: { kind: 'classification', outputs: 2 }, trainable: 'all' }
  const { isa } = resolveDevice('cpu')
  const shared = await SharedModel.create(backbone, resolveTrainerOptions({ backbone, ...options }), isa, 1)
  t.teardown(() => shared.dispose())
  const alone = await openTask(backbone, options, 1)
  const rows = { inputIds: [[1, 2, 3], [4]] }
  const expected = await alone.forward(rows)
  const task = await shared.add(2, await alone.tensors())
  const [found] = await shared.forward([{ task, rows: packRows(rows, shared.limits) }])
  await alone.dispose()
  for (const [i, row] of found!.entries())
    for (const [k, x] of row.entries()) t.true(Math.abs(x - expected[i]![k]!) < 1e-5)
})

test('a task that is removed gives its number to the next, and its memory back', async (t) => {
  const { shared, tensors } = await openEmpty(t)
  t.is(await shared.add(2, tensors), 0)
  const one = shared.memory().tasks
  t.true(one > 0)
  t.is(await shared.add(2, tensors), 1)
  t.is(shared.memory().tasks, 2 * one)
  await shared.remove(0)
  t.is(shared.memory().tasks, one)
  const rows = packRows(rowsOf(1, 2), shared.limits)
  await t.throwsAsync(shared.forward([{ task: 0, rows }]), { code: 'ERR_BATCH', message: /tasks\[0\] is 0/ })
  await t.throwsAsync(shared.remove(0), { code: 'ERR_OPTION' })
  t.is(await shared.add(2, tensors), 0)
  await t.notThrowsAsync(shared.forward([{ task: 0, rows }]))
})

test('tensors that are missing, wrong or unknown are refused by name', async (t) => {
  const { shared, tensors } = await openEmpty(t)
  const name = 'layer.0.ffn.adapter.down.weight'
  const tensor = tensors.get(name)!
  const wrong: readonly (readonly [change: (copy: typeof tensors) => void, message: RegExp])[] = [
    [(copy) => copy.delete(name), /down\.weight" is missing/],
    [(copy) => copy.set(name, { shape: [1], data: new Float32Array(1) }), /must be \[4, /],
    [(copy) => copy.set('layer.9.x', { shape: [1], data: new Float32Array(1) }), /no trained tensor "layer\.9\.x"/],
    [(copy) => copy.set(name, { ...tensor, data: tensor.data.map(() => NaN) }), /finite/],
  ]
  for (const [change, message] of wrong) {
    const copy = new Map(tensors)
    change(copy)
    await t.throwsAsync(shared.add(2, copy), { instanceOf: OptionError, message })
  }
  t.is(shared.memory().tasks, 0)
})

test('tasks share a model where all but their tensors is alike', (t) => {
  const shape = (options: object, outputs = 2) =>
    modelShape(resolveTrainerOptions({ task: { kind: 'classification', outputs }, ...options } as TrainerOptions))
  t.is(shape({}), shape({}, 16))
  t.is(shape({ adapter: { initialStd: 0.1 } }), shape({}))
  for (const other of [
    { adapter: { size: 8 } },
    { adapter: { activation: 'relu' } },
    { adapter: { layers: [0] } },
    { head: { pool: 'mean' } },
    { trainable: ['adapters', 'head'] },
    { trainable: 'all' },
  ])
    t.not(shape(other), shape({}))
  t.not(shape({}, 17), shape({}, 16))
})
