/** Which flag stands for which option of the package: messages name options, and users of the command line know flags. */

import type { Command } from 'commander'

/**
 * Options within others, by their flags as commander calls them. Every other flag is called as its option; see
 * `toOptions` and `flagsOf`, which read this both ways.
 */
const places: Readonly<Record<string, string>> = {
  task: 'task.kind',
  labels: 'task.labels',
  positiveLabel: 'task.positiveLabel',
  labelSeparator: 'task.labelSeparator',
  maxAnswerTokens: 'task.maxAnswerTokens',
  stride: 'task.stride',
  textColumn: 'columns.text',
  textPairColumn: 'columns.textPair',
  labelColumn: 'columns.label',
  adapterSize: 'adapter.size',
  adapterActivation: 'adapter.activation',
  adapterInitialStd: 'adapter.initialStd',
  adapterLayers: 'adapter.layers',
  pool: 'head.pool',
}

const placeOf = (flag: string) => places[flag] ?? flag

/** Values of flags as options: those within others in their objects, and none that was not given. */
export function toOptions(flags: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  for (const [flag, value] of Object.entries(flags)) {
    if (value === undefined) continue
    const [name = '', part] = placeOf(flag).split('.')
    options[name] = part === undefined ? value : { ...(options[name] as object | undefined), [part]: value }
  }
  return options
}

/** Flags by the option that they stand for. */
export type Flags = ReadonlyMap<string, string>

/** The flags of commands; where two commands have one for the same option, the later command's. */
export function flagsOf(commands: readonly Command[]): Flags {
  const flags = new Map<string, string>()
  for (const option of commands.flatMap((command) => command.options)) {
    // `--no-adapter` says no more than that there is none.
    if (option.negate) continue
    const place = placeOf(option.attributeName())
    flags.set(place, option.long!)
    // A task is its kind where nothing else is said of it.
    if (place === 'task.kind') flags.set('task', option.long!)
  }
  return flags
}

/** Commander's complaint of a flag that it does not know; of one that another command has, which one that is. */
export function describeUnknown(complaint: string, command: Command, commands: readonly Command[]): string {
  const flag = /unknown option '(--[\w-]+)/.exec(complaint)?.[1]
  const owners = commands.filter(({ options }) => options.some(({ long }) => long === flag))
  if (flag === undefined || owners.length === 0) return complaint
  const names = owners.map((owner) => owner.name()).join(', ')
  return `error: option '${flag}' belongs to ${names}, not to ${command.name()}\n`
}

/**
 * A message in the words of the command line: `option "adapter.size"`, as all messages of the package name options,
 * becomes `--adapter-size`, `option "dropout.head"` becomes `--dropout (head)`, and `dropout: unknown
 * option "foo"` begins with `--dropout`.
 */
export function nameFlags(message: string, flags: Flags): string {
  const told = message.replace(/\b\w+(?=: unknown option ")/g, (option) => flags.get(option) ?? option)
  return told.replace(/(?<!unknown )\boption "([\w.]+)"/g, (named, option: string) => {
    const whole = flags.get(option)
    if (whole !== undefined) return whole
    const [name = '', ...parts] = option.split('.')
    const flag = flags.get(name)
    return flag === undefined || parts.length === 0 ? named : `${flag} (${parts.join('.')})`
  })
}
