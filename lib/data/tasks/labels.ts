import { wrongOption } from '../../options.js'

/**
 * Checks a list of label names that a caller gave.
 * @param least labels that the task needs
 * @throws OptionError ERR_OPTION
 */
export function checkLabels(labels: unknown, least: number): asserts labels is readonly string[] {
  const fine = Array.isArray(labels) && labels.every((label) => typeof label === 'string' && label !== '')
  if (fine && labels.length >= least && new Set(labels).size === labels.length) return
  throw wrongOption('task.labels', `a list of at least ${least === 1 ? 'one' : 'two'} different label names`, labels)
}
