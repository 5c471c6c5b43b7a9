import { adapterhub } from './adapterhub.js'
import type { ImportSource } from './source.js'

/** Every library by its name. */
export const importSources: readonly ImportSource[] = [adapterhub]

export const importSourceNames: readonly string[] = importSources.map(({ name }) => name)
