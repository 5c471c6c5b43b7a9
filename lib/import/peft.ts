import { InteropError } from '../errors.js'
import { hubFamily } from '../formats/adapterhub/names.js'
import { readPeftFolder } from '../formats/peft.js'
import type { ForeignAdapter, ImportSource } from './source.js'

/** A folder of LayerNorm tuning with a head. */
export const peft: ImportSource = {
  name: 'peft',
  description: 'a folder of the Python library "peft": LayerNorm tuning (LN_TUNING) with its head',
  async read(folder, backbone): Promise<ForeignAdapter> {
    const { architecture, layers } = backbone.config
    const family = hubFamily(architecture)
    const refuse = (what: string) =>
      new InteropError('ERR_INTEROP_BACKBONE', `${folder}: ${what}`, { file: folder, found: architecture })
    if (!family) throw refuse(`names of a backbone of ${architecture} are not known`)
    const { kind, outputs, file, tensors } = await readPeftFolder(folder, family, layers)
    const ofTokens = kind === 'token' || kind === 'span'
    if (!ofTokens && architecture !== 'bert')
      throw refuse(`the head of ${architecture} in transformers has two layers, the engine's has one`)
    return {
      name: 'peft',
      file,
      adapter: false,
      trainable: ['layerNorm', 'head'],
      tensors,
      head: { kind, outputs, pool: ofTokens ? 'cls' : 'pooler' },
      warnings: [],
    }
  },
}
