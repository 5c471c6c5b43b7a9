/** Checks of what run.json and a checkpoint say, before anything relies on it. */

type Fields = Readonly<Record<string, unknown>>

/** The first field of run.json that is missing or has a wrong type; what depends on the task is checked with the task. */
export function wrongRecordField(record: Fields): string | undefined {
  const { status, backbone, task, options, data, device, parameters, history, resumed, versions } = record
  const checks: Readonly<Record<string, boolean>> = {
    status: typeof status === 'string',
    'backbone.sha256': isObject(backbone) && typeof backbone['sha256'] === 'string',
    task: isObject(task),
    options: isObject(options),
    ...dataChecks(data),
    'device.isa': isObject(device) && typeof device['isa'] === 'string',
    parameters: isObject(parameters),
    history: Array.isArray(history),
    resumed: resumed === undefined || Array.isArray(resumed),
    'versions.onnx-adapters': isObject(versions) && typeof versions['onnx-adapters'] === 'string',
  }
  return firstWrong(checks)
}

/** The first field of the result of a finished run that is missing or has a wrong type. */
export function wrongResultField({ best, throughput }: Fields): string | undefined {
  return firstWrong({ best: isBest(best), throughput: isObject(throughput) })
}

/** The first field of a checkpoint's position that is missing or has a wrong type. */
export function wrongPositionField({ epoch, step, current, history, best, spent }: Fields): string | undefined {
  const hasNumbers = (value: unknown, names: readonly string[]) =>
    isObject(value) && names.every((name) => Number.isFinite(value[name]))
  return firstWrong({
    epoch: isCount(epoch),
    step: isCount(step),
    current: current === undefined || hasNumbers(current, ['steps', 'lossSum', 'seconds']),
    history: Array.isArray(history),
    // Of epochs that have ended one is the best.
    best: (best === undefined && epoch === 0) || isBest(best),
    spent: hasNumbers(spent, ['steps', 'rows', 'tokens', 'milliseconds']),
  })
}

/** The first field of a checkpoint's identity that is missing or has a wrong type. */
export function wrongIdentityField({ backbone, task, options, data }: Fields): string | undefined {
  return firstWrong({
    backbone: typeof backbone === 'string',
    task: isObject(task),
    options: isObject(options),
    ...dataChecks(data),
  })
}

function dataChecks(data: unknown): Readonly<Record<string, boolean>> {
  const isIdentity = (value: unknown) =>
    isObject(value) && isCount(value['rows']) && typeof value['sha256'] === 'string'
  return {
    'data.train': isObject(data) && isIdentity(data['train']),
    'data.validation': isObject(data) && (data['validation'] === undefined || isIdentity(data['validation'])),
  }
}

function firstWrong(checks: Readonly<Record<string, boolean>>): string | undefined {
  return Object.keys(checks).find((name) => !checks[name])
}

function isBest(value: unknown): boolean {
  return isObject(value) && isCount(value['epoch']) && isObject(value['metrics'])
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
