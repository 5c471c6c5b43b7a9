import { loadTask, type Task, type TaskRecord } from '../data/tasks/index.js'
import { OptionError } from '../errors.js'
import { isJson } from '../formats/adapterhub/config.js'
import type { TaskKind } from '../kinds.js'
import type { Warning } from '../train/progress.js'
import type { Extras } from './extras.js'
import type { ForeignHead } from './source.js'

/** Tokens an answer may have where nothing says another number. */
const usualAnswer = 30

/**
 * The task of a head: its labels are those asked for, else those of the files, else LABEL_0 and so on with a warning.
 * @throws OptionError ERR_OPTION for another number of labels than the head has outputs
 */
export function makeTask(
  head: ForeignHead,
  extras: Extras | undefined,
  labels: readonly string[] | undefined,
): { readonly task: Task; readonly warnings: readonly Warning[] } {
  const { outputs } = head
  const own = ownTask(extras, head)
  const kind = own?.kind ?? head.kind
  const hasLabels = kind !== 'regression' && kind !== 'span'
  if (labels && (!hasLabels || labels.length !== outputs)) {
    const expected = hasLabels ? `${outputs} names, one of each output` : `left out: a ${kind} head has no labels`
    throw new OptionError('ERR_OPTION', `option "labels" must be ${expected}, not ${labels.length} names`, {
      option: 'labels',
      got: labels,
      expected,
    })
  }
  const named = labels ?? head.labels ?? own?.labels
  const warnings: Warning[] = []
  if (hasLabels && !named) {
    const message = `the files do not name the ${outputs} labels: they are called LABEL_0, LABEL_1, ...`
    warnings.push({ code: 'WARN_IMPORT_LABELS', message: `${message}; option "labels" names them` })
  }
  const names = named ?? Array.from({ length: outputs }, (_, i) => `LABEL_${i}`)
  return { task: loadTask(recordOf(kind, names, extras)), warnings }
}

/** What our own file says of a head whose files do not tell several labels from one, and name none. */
function ownTask(extras: Extras | undefined, { kind, outputs }: ForeignHead) {
  const { kind: found, labels } = extras?.task ?? {}
  const isLabels = (value: unknown): value is readonly string[] =>
    Array.isArray(value) &&
    value.length === outputs &&
    value.every((label) => typeof label === 'string' && label !== '')
  if (!isLabels(labels) || new Set(labels).size !== outputs) return undefined
  const fits = found === kind || (found === 'multilabel' && (kind === 'classification' || kind === 'regression'))
  return fits ? { kind: found as TaskKind, labels } : undefined
}

/** Labels and ranges are those of the files; what only we know is from our own. */
function recordOf(kind: TaskRecord['kind'], labels: readonly string[], extras: Extras | undefined): TaskRecord {
  const own = extras && isJson(extras.task) && extras.task['kind'] === kind ? extras.task : {}
  const text = (key: string) => (typeof own[key] === 'string' ? own[key] : undefined)
  const count = (key: string) => (Number.isSafeInteger(own[key]) && (own[key] as number) >= 1 ? own[key] : undefined)
  switch (kind) {
    case 'classification': {
      const positiveLabel = text('positiveLabel')
      return positiveLabel && labels.includes(positiveLabel) ? { kind, labels, positiveLabel } : { kind, labels }
    }
    case 'multilabel':
      return { kind, labels, labelSeparator: text('labelSeparator') || ',' }
    case 'token':
      return { kind, labels }
    case 'regression':
      // An exported head gives values in the units of the data.
      return { kind, minimum: 0, maximum: 1 }
    case 'span': {
      const stride = count('stride')
      const maxAnswerTokens = count('maxAnswerTokens') ?? usualAnswer
      return { kind, unanswerable: own['unanswerable'] === true, maxAnswerTokens, ...(stride ? { stride } : {}) }
    }
  }
}
