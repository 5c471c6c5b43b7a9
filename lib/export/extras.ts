import type { ExportedRun } from './target.js'

/** What other libraries have no place for: a file of our own beside theirs, read again by an import. */
export function encodeExtras({ record, name }: ExportedRun): string {
  const { backbone, task, options, best, versions } = record
  const { name: of, sha256 } = backbone
  const extras = { format: 1, name, backbone: { name: of, sha256 }, task, options, metrics: best?.metrics, versions }
  return `${JSON.stringify(extras, null, 2)}\n`
}
