import { basename, join, resolve } from 'node:path'
import { Command } from 'commander'
import { convertWeights } from '../backbone/convert.js'
import { fetchBackbone } from '../backbone/fetch.js'
import { kindOf } from '../backbone/kind.js'
import { describeFolder, type FetchedBackbone } from '../backbone/origin.js'
import { findInFolder, findWeights, resolveBackbone } from '../backbone/resolve.js'
import { showFetch } from './fetch_progress.js'
import { count, log, print, printJson, type CommonOptions } from './io.js'

export function fetchCommand(): Command {
  return new Command('fetch')
    .description('brings a backbone into the cache and prints its folder; or makes a model of the weights in a folder')
    .argument('<name>', 'owner/name on the hub, a short name such as all-MiniLM-L6-v2, or a folder with weights')
    .addHelpText('after', environmentHelp)
    .action(async (name: string, _: unknown, command: Command) => {
      const { json = false, quiet = false } = command.optsWithGlobals<CommonOptions>()
      const fetched = (await kindOf(name)) ? await fromPath(name, quiet) : await fromName(name, quiet)
      const { folder, source, bytes, sha256, cached } = fetched
      if (json) await printJson({ name, folder, source, bytes, sha256, cached })
      else await print(folder)
    })
}

const environmentHelp = `
Followed: ONNX_ADAPTERS_CACHE (the folder of the cache; default ~/.cache/onnx-adapters), HF_ENDPOINT, HF_TOKEN,
HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT (seconds; default 5). A download that was stopped goes on the next time.`

async function fromName(name: string, quiet: boolean): Promise<FetchedBackbone> {
  const { listener, stop } = showFetch(quiet)
  const start = performance.now()
  try {
    const fetched = await fetchBackbone(name, { onProgress: listener })
    stop()
    if (!quiet) log(describeEnd(fetched, performance.now() - start))
    return fetched
  } finally {
    stop()
  }
}

/** A folder has its model beside it afterwards. */
async function fromPath(path: string, quiet: boolean): Promise<FetchedBackbone> {
  const folder = resolve(path)
  if ((await kindOf(folder)) === 'folder' && !(await findInFolder(folder)) && (await findWeights(folder))) {
    const model = join(folder, 'model.onnx')
    const { parameters } = await convertWeights(folder, model)
    if (!quiet) log(`made ${model} of ${count(parameters)} weights`)
  }
  const { name } = await resolveBackbone(path)
  return describeFolder(name, (await kindOf(folder)) === 'file' ? resolve(folder, '..') : folder, true)
}

function describeEnd({ name, source, bytes, cached }: FetchedBackbone, milliseconds: number): string {
  const size = `${(bytes / 1e6).toFixed(1)} MB`
  if (cached) return `${basename(name)} is in the cache (${size}, ${source})`
  return `${name} is here: ${size}, ${source}, ${(milliseconds / 1000).toFixed(1)} s`
}
