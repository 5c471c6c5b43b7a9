// Formats the native sources in place; with --check only says which differ. clang-format 19: `pip install
// clang-format`, or CLANG_FORMAT names another.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './native.mjs'

const tool = process.env.CLANG_FORMAT ?? 'clang-format'
const files = ['native', 'test/native'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(cc|h|cu|cuh)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name)),
)
const mode = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i']
const run = spawnSync(tool, [...mode, ...files], { stdio: 'inherit' })
if (run.error) {
  console.error(
    `${tool} was not found (pip install clang-format, or set CLANG_FORMAT); native sources were not looked at`,
  )
  process.exit(process.env.CI ? 1 : 0)
}
process.exit(run.status ?? 1)
