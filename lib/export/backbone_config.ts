import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Backbone } from '../backbone/backbone.js'

/**
 * Type and class of the model at other libraries, by config.json beside the model or above it: architectures that
 * compute the same have several of them.
 * @param classes by type; the first is taken where no config.json says one of them
 */
export async function readModelType(
  backbone: Backbone,
  classes: Readonly<Record<string, string>>,
): Promise<{ readonly modelType: string; readonly modelClass: string }> {
  const folder = dirname(backbone.file)
  for (const place of [folder, dirname(folder)]) {
    const type = await readType(join(place, 'config.json'))
    if (type !== undefined && Object.hasOwn(classes, type)) return { modelType: type, modelClass: classes[type]! }
  }
  const [[modelType, modelClass]] = Object.entries(classes) as [[string, string]]
  return { modelType, modelClass }
}

async function readType(file: string): Promise<string | undefined> {
  try {
    const { model_type: type } = JSON.parse(await readFile(file, 'utf8')) as { model_type?: unknown }
    return typeof type === 'string' ? type : undefined
  } catch {
    // Without it the architecture alone says enough.
    return undefined
  }
}
