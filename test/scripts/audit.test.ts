/** The audit fails for vulnerabilities, and only for those; an npm that answers as told stands in for the real one. */
import { chmod } from 'node:fs/promises'
import { delimiter } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { run } from '../support/child.js'
import { temporaryFolder, writeFiles } from '../support/folder.js'
import { packagePath } from '../support/shared.js'

async function audit(t: ExecutionContext, answer: unknown) {
  const folder = await temporaryFolder(t)
  const npm = `#!/bin/sh\ncat "${folder}/answer"\nexit 1\n`
  await writeFiles(folder, { npm, answer: typeof answer === 'string' ? answer : JSON.stringify(answer) })
  await chmod(`${folder}/npm`, 0o755)
  const environment = { PATH: `${folder}${delimiter}${process.env['PATH']}` }
  return run(process.execPath, [packagePath('scripts', 'audit.mjs')], { environment })
}

function report(...severities: string[]) {
  const named = severities.map((severity, i) => [`p${i}`, { name: `p${i}`, severity, range: '<2' }])
  return {
    vulnerabilities: Object.fromEntries(named) as object,
    metadata: { vulnerabilities: {}, dependencies: { total: 9 } },
  }
}

test('moderate and worse fail, and are named', async (t) => {
  const { status, stderr } = await audit(t, report('low', 'moderate', 'critical'))
  t.is(status, 1)
  t.regex(stderr, /moderate: p1 <2\ncritical: p2 <2/)
})

test('low ones, and none, pass', async (t) => {
  t.is((await audit(t, report('info', 'low'))).status, 0)
  t.is((await audit(t, report())).status, 0)
})

test('a registry without audits, or none at all, is a skip with its reason', async (t) => {
  const answers = [
    { statusCode: 405, message: '405 Method Not Allowed' },
    { statusCode: 503, message: '503 Service Unavailable' },
    { message: 'request to http://127.0.0.1:9/ failed, reason: connect ECONNREFUSED' },
  ]
  for (const answer of answers) {
    const { status, stdout } = await audit(t, answer)
    t.is(status, 0)
    t.regex(stdout, /^npm audit skipped: .+$/m)
  }
})

test('a fault of the project is no skip', async (t) => {
  for (const answer of [{ statusCode: 400, message: '400 Bad Request' }, { message: 'no lock file' }, 'not JSON', '']) {
    const { status, stderr } = await audit(t, answer)
    t.is(status, 1)
    t.regex(stderr, /npm audit failed/)
  }
})
