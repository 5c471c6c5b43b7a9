import { parseArgs } from 'node:util'

/** `--name value` options with defaults; unknown names are refused by parseArgs. */
export function benchArguments<T extends Record<string, string>>(defaults: T, args?: readonly string[]): T {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [name, { type: 'string' as const, default: value }]),
  )
  return parseArgs({ options, ...(args ? { args: [...args] } : {}) }).values as T
}

/** `--name` options without a value, and the arguments that are left. */
export function switches<K extends string>(names: readonly K[], given = process.argv.slice(2)) {
  const isSwitch = (arg: string) => (names as readonly string[]).includes(arg.replace(/^--/, ''))
  const on = Object.fromEntries(names.map((name) => [name, given.includes(`--${name}`)])) as Record<K, boolean>
  return { ...on, args: given.filter((arg) => !isSwitch(arg)) }
}
