/** The demo, on a tiny backbone and a few texts where it finds shared files. What it fetches is tried in CI. */
import test from 'ava'
import { Reader } from './support/reader.js'

const typed = (text: string) => ({ document: 'demo', language: 'sh', text: `${text}\n`, line: 1, file: undefined })

test('the demo trains, compares with the larger class, judges the texts given, and says what is where', async (t) => {
  const reader = await Reader.create(t)
  const output = await reader.follow(t, typed('npm run demo -- "the red cat sees a dog ." "the blue cat sees a dog ."'))
  t.regex(output, /accuracy \d+\.\d % on 12 texts; always the larger class: 66\.7 %/)
  t.regex(output, /(spam|ham ) +\d+\.\d % +the red cat sees a dog \./)
  t.regex(output, /runs\/demo\/adapter\.safetensors, \d/)
  // Its advice works.
  const advice = /^ {2}(node dist\/cli\/main\.js predict .*)$/m.exec(output)?.[1]
  t.truthy(advice)
  t.regex(await reader.follow(t, typed(advice!)), /spam|ham/)
})
