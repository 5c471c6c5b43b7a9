// Child processes whose tests are counted, and the closing line `N passed, N failed, N skipped`.
import { spawn, spawnSync } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { root } from './native.mjs'

const total = { passed: 0, failed: 0, skipped: 0 }

/** Prints the closing line and ends the process: 1 when something failed or nothing ran. */
export function finish() {
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
  process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0)
}

/** Adds to the closing line. */
export function count(counts) {
  for (const key of Object.keys(total)) total[key] += counts[key] ?? 0
}

/** A step without which nothing can be tested: ends the process when it fails. */
export function need(what, command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  if (status === 0) return
  console.error(`${what} failed${error ? `: ${error.message}` : ''}`)
  total.failed += 1
  finish()
}

/** Runs tests, shows what they print, and adds what `count(text)` finds; a bad exit without a failure counts as one. */
export async function runTests(command, args, { count: counted, environment = {} }) {
  const { status, text } = await watch(command, args, environment)
  const counts = counted(text)
  if (status !== 0 && counts.failed === 0) counts.failed = 1
  count(counts)
}

function watch(command, args, environment) {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...environment } })
    let text = ''
    const streams = [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]
    for (const [from, to] of streams) {
      from.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
        to.write(chunk)
      })
    }
    child.on('error', (error) => done({ status: 1, text: `${text}${error.message}` }))
    child.on('close', (status) => done({ status: status ?? 1, text }))
  })
}

/**
 * What ava counted, from its output: the tests that passed and that were skipped by their lines, since its closing sums
 * leave out the first when one failed, and all when it was killed; those that failed by its sums.
 */
export function countAva(output) {
  const text = stripVTControlCharacters(output)
  const count = (pattern) => [...text.matchAll(pattern)].length
  const broken = /^\s*(\d+) (?:uncaught exceptions?|unhandled rejections?|tests? remained pending)/gm
  return {
    passed: count(/^\s*✔ (?!\[expected fail\])/gm),
    failed: sumOf(text, /^\s*(\d+) (?:tests?|hooks?) failed/gm) + sumOf(text, broken),
    skipped: count(/^\s*- \[(?:skip|todo)\] /gm),
  }
}

/** The sum of a pattern's first group over a text. */
export function sumOf(text, pattern) {
  return [...text.matchAll(pattern)].reduce((sum, match) => sum + Number(match[1]), 0)
}
