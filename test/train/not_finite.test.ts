import test from 'ava'
import type { ParameterLayout } from '../../lib/plan/layout.js'
import type { Session } from '../../lib/runtime/session.js'
import { notFinite } from '../../lib/train/not_finite.js'

/** A session that was disposed meanwhile: no tensor can be blamed. */
const gone = { read: () => Promise.reject(new Error('disposed')) } as unknown as Session
const failed = { step: 3, loss: Infinity, learningRate: 0.5 }

test('parameters moved only where the norm of the gradients is finite', async (t) => {
  const messageOf = async (gradientNorm: number) =>
    (await notFinite(gone, {} as ParameterLayout, { ...failed, gradientNorm })).message
  t.regex(await messageOf(NaN), /^step 3: the loss is Infinity\. The step changed nothing/)
  t.regex(await messageOf(2), /^step 3: the loss is Infinity\. The parameters were updated .* earlier state/)
})
