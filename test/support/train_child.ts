/** Trains in a process of its own, to be killed: options as JSON in the first argument, one line for each event. */
import { train } from '../../lib/train/train.js'
import type { TrainOptions } from '../../lib/train/train_options.js'

const options = JSON.parse(process.argv[2]!) as TrainOptions
await train({
  ...options,
  onProgress: (event) => {
    if (event.kind === 'start' || event.kind === 'step') process.stdout.write(`${event.kind} ${event.step}\n`)
  },
})
