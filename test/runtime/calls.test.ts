/** How often a trainer crosses into native code: a step is one call, however many ops it has. */
import test from 'ava'
import { addon } from '../../lib/runtime/binding.js'
import type { NativeAddon, NativeSession } from '../../lib/runtime/native-types.js'
import { Trainer } from '../../lib/train/trainer.js'
import { tinyBackbone } from '../support/tiny_encoder.js'

/** The methods called on all native sessions made from now on, in order. */
function watchSessions(): string[] {
  const calls: string[] = []
  const watch = (session: NativeSession): NativeSession =>
    new Proxy(session, {
      get(target, name) {
        const member = Reflect.get(target, name) as unknown
        if (typeof member !== 'function') return member
        return (...args: unknown[]): unknown => {
          calls.push(String(name))
          return Reflect.apply(member, target, args)
        }
      },
    })
  const native = addon() as { Session: NativeAddon['Session'] }
  const { Session } = native
  native.Session = { create: async (...args) => watch(await Session.create(...args)) }
  return calls
}

const row = (length: number) => Array.from({ length }, (_, i) => (1 + i * 7) % 50)
const small = { inputIds: [row(5), row(9)], labels: [0, 1] }
const large = { inputIds: Array.from({ length: 40 }, () => row(20)), labels: Array.from({ length: 40 }, () => 1) }
const rate = { learningRate: 1e-3 }

test('a step is one native call, as are several steps, and a step that needs a larger plan', async (t) => {
  const calls = watchSessions()
  const trainer = await Trainer.create({
    backbone: tinyBackbone(),
    task: { kind: 'classification', outputs: 2 },
    adapter: { size: 4 },
    device: 'cpu',
    threads: 1,
  })
  const during = async (work: () => Promise<unknown>): Promise<string[]> => {
    calls.length = 0
    await work()
    return [...calls]
  }
  t.deepEqual(await during(() => trainer.step(small, rate)), ['run'])
  t.deepEqual(await during(() => trainer.stepMany([small, small, small], [rate, rate, rate])), ['run'])
  const { tokens } = trainer.plan.capacity
  t.deepEqual(await during(() => trainer.step(large, rate)), ['run'])
  t.true(trainer.plan.capacity.tokens > tokens, 'the plan has grown')
  t.deepEqual(await during(() => trainer.forward(small)), ['run'])
  t.deepEqual(await during(() => trainer.gradients(small)), ['run', 'read'])
  t.deepEqual(await during(() => trainer.dispose()), ['dispose'])
})
