import type { TaskKind } from '../kinds.js'
import { classification } from './classification.js'
import type { HeadDef } from './define.js'
import { multilabel } from './multilabel.js'
import { regression } from './regression.js'
import { span } from './span.js'
import { token } from './token.js'

/** Every head by its task's kind. */
export const heads: Readonly<Record<TaskKind, HeadDef>> = { classification, regression, multilabel, span, token }
