/** What loading a backbone reads, and what it calls the same model. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { readFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'
import test from 'ava'
import { loadBackbone } from '../../lib/index.js'
import { readModel } from '../../lib/onnx/read.js'
import { writeModel } from '../../lib/onnx/write.js'
import { temporaryFolder, tinyBackbone } from '../support/folder.js'

/** Names of the files that are opened while something runs, whichever way. */
async function opened(run: () => Promise<unknown>): Promise<string[]> {
  const names: string[] = []
  const real = { open: fs.open, openSync: fs.openSync, promised: fs.promises.open, readFile: fs.promises.readFile }
  const noting = <T>(open: T): T =>
    ((...args: unknown[]) => {
      names.push(basename(String(args[0])))
      return (open as (...args: unknown[]) => unknown)(...args)
    }) as T
  fs.open = Object.assign(noting(real.open), real.open)
  fs.openSync = noting(real.openSync)
  fs.promises.open = noting(real.promised)
  fs.promises.readFile = noting(real.readFile)
  syncBuiltinESMExports()
  try {
    await run()
  } finally {
    fs.open = real.open
    fs.openSync = real.openSync
    fs.promises.open = real.promised
    fs.promises.readFile = real.readFile
    syncBuiltinESMExports()
  }
  return names
}

test.serial('a model is read once', async (t) => {
  const backbone = await tinyBackbone(await temporaryFolder(t))
  const names = await opened(() => loadBackbone(backbone, { verify: false }))
  t.deepEqual(
    names.filter((name) => name.startsWith('model')),
    ['model.onnx'],
  )
})

test.serial('external data is read twice: the tensors, and the whole file for its hash', async (t) => {
  const folder = await temporaryFolder(t)
  const model = await readModel(join(await tinyBackbone(folder), 'model.onnx'))
  await writeModel(model, join(folder, 'model.onnx'), { external: { threshold: 0 } })
  const names = await opened(() => loadBackbone(folder, { verify: false }))
  t.deepEqual(
    names.filter((name) => name.startsWith('model')),
    ['model.onnx', 'model.onnx_data', 'model.onnx_data'],
  )
})

test.serial('the hash is that of the model file and of its external data', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(await tinyBackbone(folder), 'model.onnx')
  const hash = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest('hex')
  const load = async () => (await loadBackbone(folder, { verify: false })).sha256
  t.is(await load(), hash(await readFile(file)))
  await writeModel(await readModel(file), file, { external: { threshold: 0 } })
  t.is(await load(), hash(await readFile(file), await readFile(`${file}_data`)))
})
