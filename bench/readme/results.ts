import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { BenchReport } from '../../lib/bench/bench.js'
import type { GpuReport } from '../gpu/report.js'
import type { PeersReport } from '../peers/report.js'
import type { QualityReport } from '../quality/summary.js'

/** A committed result and the name of its file. */
export interface Named<T> {
  /** From the root of the repository: `bench/results/peers-epyc.json`. */
  readonly file: string
  readonly report: T
}

/** Committed results by kind, each in the order of the files' names. */
export interface Results {
  readonly throughput: readonly Named<BenchReport>[]
  readonly peers: readonly Named<PeersReport>[]
  readonly quality: readonly Named<QualityReport>[]
  readonly gpu: readonly Named<GpuReport>[]
}

/**
 * Reads all JSON files of a folder; those of other kinds are passed over.
 * @param folder from `root`; it need not be there
 */
export function readResults(root: string, folder = 'bench/results'): Results {
  const results = { throughput: [], peers: [], quality: [], gpu: [] } as Record<string, Named<never>[]>
  const names = existsSync(path.join(root, folder)) ? readdirSync(path.join(root, folder)).sort() : []
  for (const name of names.filter((each) => each.endsWith('.json'))) {
    const file = `${folder}/${name}`
    const report = JSON.parse(readFileSync(path.join(root, file), 'utf8')) as { readonly kind?: string }
    results[report.kind ?? '']?.push({ file, report: report as never })
  }
  return results as unknown as Results
}
