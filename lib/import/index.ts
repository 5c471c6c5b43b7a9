import { adapterBert } from './adapter_bert.js'
import { adapterhub } from './adapterhub.js'
import { peft } from './peft.js'
import type { ImportSource } from './source.js'

/** Every library by its name. */
export const importSources: readonly ImportSource[] = [adapterhub, adapterBert, peft]

export const importSourceNames: readonly string[] = importSources.map(({ name }) => name)
