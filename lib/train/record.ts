/** What run.json says of a training at its beginning. */

import type { Backbone } from '../backbone/backbone.js'
import type { Dataset } from '../data/dataset.js'
import type { Task } from '../data/tasks/index.js'
import type { ResolvedDevice } from '../runtime/device.js'
import type { Earlier } from './earlier.js'
import { identifyData, type RunIdentity } from './identity.js'
import type { ParameterCount } from './progress.js'
import { currentVersions, type RunOptions, type RunRecord } from './run.js'
import type { TrainSettings } from './train_options.js'
import type { Trainer } from './trainer.js'
import { resolveTrainerOptions } from './trainer_options.js'

/** A training of which everything is loaded. */
export interface Prepared {
  readonly settings: TrainSettings
  readonly output: string
  readonly signal?: AbortSignal
  readonly backbone: Backbone
  readonly device: ResolvedDevice
  readonly trainer: Trainer
  /** Tokens a row may have. */
  readonly maxLength: number
  readonly task: Task
  readonly train: Dataset
  readonly validation?: Dataset
  /** True where a row is two texts. */
  readonly pair: boolean
}

export function identify(prepared: Prepared): RunIdentity {
  const { backbone, task, train, validation } = prepared
  return {
    backbone: backbone.sha256,
    task: task.record(),
    options: recordOptions(prepared),
    data: {
      train: identifyData(train),
      ...(validation ? { validation: identifyData(validation) } : {}),
    },
  }
}

/** All that the result depends on, resolved: so a default that is given is the same as one that is not. */
function recordOptions({ settings, backbone, task, pair, maxLength }: Prepared): RunOptions {
  const { epochs, batchSize, learningRate, warmup, schedule, seed, earlyStopping } = settings
  const model = resolveTrainerOptions({
    ...settings.trainer,
    backbone,
    task: { kind: task.kind, outputs: task.outputs },
  })
  const { adapter, pool, headStd, trainable, optimizer, dropout } = model
  return {
    adapter,
    head: { pool, initialStd: headStd },
    trainable: Array.isArray(trainable) ? [...trainable].sort() : trainable,
    optimizer: { name: 'adamw', ...optimizer },
    dropout,
    epochs,
    batchSize,
    learningRate,
    warmup,
    schedule,
    seed,
    metric: settings.metric ?? task.defaultMetric,
    earlyStopping,
    maxLength,
    pair,
  }
}

export function startRecord(
  { backbone, device }: Prepared,
  { task, options, data }: RunIdentity,
  parameters: ParameterCount,
  earlier: Earlier | undefined,
): RunRecord {
  const versions = currentVersions()
  const step = earlier?.checkpoint?.position.step ?? 0
  const before: Partial<RunRecord> = earlier?.record ?? {}
  const { resumed = [] } = before
  return {
    format: 1,
    status: 'training',
    backbone: { name: backbone.name, path: backbone.file, sha256: backbone.sha256 },
    task,
    options,
    data,
    device: before.device ?? { kind: device.kind, isa: device.isa, precision: device.precision },
    parameters,
    history: earlier?.checkpoint?.position.history ?? [],
    best: earlier?.checkpoint?.position.best,
    versions: before.versions ?? versions,
    ...(earlier ? { resumed: [...resumed, { step, at: new Date().toISOString(), versions }] } : {}),
  }
}

export async function countParameters({ backbone, trainer }: Prepared): Promise<ParameterCount> {
  const trained = trainer.trainedParameters
  const own = [...(await trainer.tensors())]
  // Trained tensors of the backbone count once: in its own sum.
  const added = own.filter(([name]) => name.startsWith('head.') || name.includes('.adapter.'))
  const total = backbone.config.parameters + added.reduce((sum, [, { data }]) => sum + data.length, 0)
  return { trained, total, share: trained / total }
}
