/** docs/cli.md has every command and flag, and no other; links between documents lead somewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { run } from '../support/child.js'
import { packagePath } from '../support/shared.js'

const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))
const document = readFileSync(packagePath('docs', 'cli.md'), 'utf8')

async function help(...command: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [main, ...command, '--help'])
  return stdout
}

const flagsOf = (text: string) => [...text.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)].map((match) => match[1]!)

/** Sections by the command that their heading names. */
const sections = new Map(
  document
    .split(/^## /m)
    .slice(1)
    .map((section): [string, string] => [/^`(\w+)/.exec(section)?.[1] ?? '', section]),
)

const common = ['--json', '--quiet', '--debug', '--help']

test('every command and flag is told, and no other', async (t) => {
  const commands = [...(await help()).matchAll(/^ {2}([a-z]+) (?:\[options\]|<)/gm)].map((match) => match[1]!)
  t.deepEqual([...sections.keys()].sort(), commands.sort())
  for (const flag of common) t.true(document.split('\n## ')[0]!.includes(`\`${flag}\``), flag)
  for (const command of commands) {
    const flags = flagsOf(await help(command)).filter((flag) => !common.includes(flag))
    const rows = sections.get(command)!.matchAll(/^\| (`--[^|]*)\|/gm)
    const told = [...rows].flatMap((match) => [...match[1]!.matchAll(/`(--[a-z-]+)`/g)].map((name) => name[1]!))
    t.deepEqual(told.sort(), flags.sort(), command)
  }
})

test('links between documents lead somewhere', (t) => {
  const names = readdirSync(packagePath('docs')).filter((name) => name.endsWith('.md'))
  const files = ['README.md', 'CONTRIBUTING.md', ...names.map((name) => join('docs', name))]
  const broken = files.flatMap((file) =>
    [...readFileSync(packagePath(file), 'utf8').matchAll(/\]\((?!https?:)([^)#]+)/g)]
      .map((match) => join(dirname(file), match[1]!))
      .filter((target) => !existsSync(packagePath(target)))
      .map((target) => `${file}: ${target}`),
  )
  t.deepEqual(broken, [])
})
