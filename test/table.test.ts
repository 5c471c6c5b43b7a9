import test from 'ava'
import { table } from '../lib/table.js'

test('columns are as wide as their widest cell, and nothing trails', (t) => {
  const rows = [
    ['', 'rate', 'of'],
    ['long', '7', ''],
  ]
  t.is(table(rows), '      rate  of\nlong  7')
  t.is(table(rows, 'right'), '      rate  of\nlong     7')
  t.is(table([['a'], ['b', 'c']]), 'a\nb  c')
  t.is(table([]), '')
})
