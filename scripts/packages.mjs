// Which installed packages some packages need.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * The folders, from `modules`, of packages and of all that they depend on. Optional ones that are not installed are left
 * out.
 * @param modules a folder node_modules
 * @throws Error where one is missing
 */
export function packageFolders(modules, names) {
  const found = new Set()
  const open = names.map((name) => ({ name, from: '', optional: false }))
  for (let next = open.pop(); next; next = open.pop()) {
    const { name, from, optional } = next
    const folder = locate(modules, from, name)
    if (folder === undefined && optional) continue
    if (folder === undefined) throw new Error(`package ${name}, which ${from || 'this one'} needs, is not installed`)
    if (found.has(folder)) continue
    found.add(folder)
    const manifest = JSON.parse(readFileSync(join(modules, folder, 'package.json'), 'utf8'))
    for (const each of Object.keys(manifest.dependencies ?? {}))
      open.push({ name: each, from: folder, optional: each in (manifest.optionalDependencies ?? {}) })
  }
  return [...found].sort()
}

/** As Node looks for it: beside the package that needs it, then further up. */
function locate(modules, from, name) {
  for (let at = from; at !== '' && at !== '.'; at = dirname(at)) {
    const folder = join(at, 'node_modules', name)
    if (existsSync(join(modules, folder, 'package.json'))) return folder
  }
  return existsSync(join(modules, name, 'package.json')) ? name : undefined
}
