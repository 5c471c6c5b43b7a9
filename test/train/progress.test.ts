import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { running, type ProgressEvent, type ProgressListener } from '../../lib/train/progress.js'

const event = (step: number): ProgressEvent => ({ kind: 'checkpoint', epoch: 1, step })
const later = () => new Promise((resolve) => setImmediate(resolve))

test('a result that is awaited, with a listener', async (t) => {
  const seen: ProgressEvent[] = []
  const result = running(
    async (emit) => {
      emit(event(1))
      await later()
      emit(event(2))
      return 5
    },
    (each) => seen.push(each),
  )
  t.is(await result, 5)
  t.deepEqual(seen, [event(1), event(2)])
})

test('a result that is iterated over, then awaited', async (t) => {
  const run = running(async (emit) => {
    for (let step = 1; step <= 3; step++) {
      await later()
      emit(event(step))
      emit(event(10 * step))
    }
    return 'done'
  })
  const seen: ProgressEvent[] = []
  for await (const each of run) seen.push(each)
  t.deepEqual(seen, [1, 10, 2, 20, 3, 30].map(event))
  t.is(await run, 'done')
})

test('a failure ends the iteration with the same error', async (t) => {
  const failure = new Error('no')
  const run = running(async (emit) => {
    await later()
    emit(event(1))
    throw failure
  })
  const seen: ProgressEvent[] = []
  const iterate = async () => {
    for await (const each of run) seen.push(each)
  }
  t.is(await t.throwsAsync(iterate()), failure)
  t.deepEqual(seen, [event(1)])
})

/** In a function of its own, whose frame is gone before anything is collected. */
function emitLate(emit: ProgressListener): WeakRef<ProgressEvent> {
  const late = event(2)
  emit(late)
  return new WeakRef(late)
}

test('nothing is kept for a consumer that has left', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let emitted: WeakRef<ProgressEvent> | undefined
  let go = () => {}
  const left = new Promise<void>((resolve) => (go = resolve))
  let end = () => {}
  const ended = new Promise<void>((resolve) => (end = resolve))
  const run = running(async (emit) => {
    await later()
    emit(event(1))
    await left
    emitted = emitLate(emit)
    await ended
  })
  for await (const each of run) {
    t.deepEqual(each, event(1))
    break
  }
  go()
  for (let turn = 0; turn < 5; turn++) await later()
  collect()
  t.truthy(emitted)
  t.is(emitted!.deref(), undefined)
  end()
  await run
})
