/** What the data and the engine both know of a task: its kind, and which labels do not count. */

export const taskKinds = ['classification', 'regression', 'multilabel', 'span', 'token'] as const
export type TaskKind = (typeof taskKinds)[number]

/** The label of a token that does not count; the kernels of the cross-entropy know it by the same number. */
export const ignoredLabel = -100
