// Fails when a dependency has a known vulnerability of moderate severity or worse. Not every registry answers audits (a
// mirror says 404 or 405), and not every machine has a network: then the check is skipped, by name and with the reason.
import { spawnSync } from 'node:child_process'
import { root } from './native.mjs'

const failing = ['moderate', 'high', 'critical']

/** Why the registry gave no answer, or undefined when the error is about this project (a broken lock file, say). */
function unreachable({ statusCode, message = '' }) {
  if ([404, 405, 501].includes(statusCode)) return `the registry has no audit endpoint (${statusCode})`
  if (statusCode === 429 || statusCode >= 500) return `the registry's audit endpoint failed (${statusCode})`
  if (statusCode === undefined && /^request to .* failed/.test(message)) return message
  return undefined
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function main() {
  const run = spawnSync('npm', ['audit', '--json'], { cwd: root, encoding: 'utf8' })
  const report = parse(run.stdout ?? '')
  const counts = report?.metadata?.vulnerabilities
  if (!counts) {
    const reason = report && unreachable(report)
    if (reason) return console.log(`npm audit skipped: ${reason}`)
    console.error(`npm audit failed: ${report?.message ?? run.error?.message ?? run.stderr}`)
    process.exit(1)
  }
  const bad = Object.values(report.vulnerabilities).filter(({ severity }) => failing.includes(severity))
  for (const { name, severity, range } of bad) console.error(`${severity}: ${name} ${range}`)
  console.log(`npm audit: ${report.metadata.dependencies.total} packages, ${bad.length} of moderate severity or worse`)
  if (bad.length > 0) process.exit(1)
}

main()
