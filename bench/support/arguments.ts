import { parseArgs } from 'node:util'

/** `--name value` options with defaults; unknown names are refused by parseArgs. */
export function benchArguments<T extends Record<string, string>>(defaults: T): T {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [name, { type: 'string' as const, default: value }]),
  )
  return parseArgs({ options }).values as T
}
