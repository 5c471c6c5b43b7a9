/** A run of a tiny encoder, for tests of what comes after training. */
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { Predictor, train, type Prediction, type TrainOptions } from '../../lib/index.js'
import { prepareTraining, type Place } from './training.js'

export const someTexts = ['the red cat sees a dog .', 'a blue bird', 'one green cat sees the red dog', 'two']

/** One epoch. @param name of the run's folder */
export async function trainTiny(t: ExecutionContext, more: Partial<TrainOptions> = {}, name = 'run'): Promise<Place> {
  const { folder, options } = await prepareTraining(t, { epochs: 1, ...more })
  const place = { folder, options: { ...options, output: join(folder, name) } }
  await train(place.options)
  return place
}

/** What a run says of some texts. */
export async function predictions(run: string, texts: readonly string[] = someTexts): Promise<Prediction[]> {
  await using predictor = await Predictor.load(run, { threads: 1 })
  return await predictor.predict(texts)
}

/** The largest difference of scores or values; Infinity where labels differ. */
export function largestDifference(a: readonly Prediction[], b: readonly Prediction[]): number {
  const numbers = ({ scores = {}, value = 0 }: Prediction) => [value, ...Object.values(scores)]
  const differences = a.map((one, i) => {
    if (one.label !== b[i]!.label) return Infinity
    const other = numbers(b[i]!)
    return Math.max(...numbers(one).map((value, k) => Math.abs(value - other[k]!)))
  })
  return Math.max(...differences)
}
