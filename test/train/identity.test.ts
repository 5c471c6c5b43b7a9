import test from 'ava'
import { identifyData, refuseOther, type HashedRows, type RunIdentity } from '../../lib/train/identity.js'

const rows: HashedRows = {
  inputIds: [[1, 2, 3], [4]],
  tokenTypeIds: [[0, 0, 1], [0]],
  targets: [0, [1, 2]],
  examples: [{ example: { text: 'a', place: { row: 1 } } }, { example: { text: 'b', place: { row: 2 } } }],
}

test('the data is what the model is given', (t) => {
  const { sha256, rows: count } = identifyData(rows)
  t.is(count, 2)
  const others: readonly Partial<HashedRows>[] = [
    {
      inputIds: [
        [1, 2],
        [3, 4],
      ],
    },
    { inputIds: [[1, 2, 3], [5]] },
    { tokenTypeIds: [[0, 1, 1], [0]] },
    { targets: [0, [1, 3]] },
    { targets: [[0], [1, 2]] },
    { examples: [{ example: { text: 'a' } }, { example: { text: 'c' } }] },
  ]
  for (const other of others) t.not(identifyData({ ...rows, ...other }).sha256, sha256)
  const elsewhere = { examples: [{ example: { text: 'a', place: { file: 'x', row: 7 } } }, { example: { text: 'b' } }] }
  t.is(identifyData({ ...rows, ...elsewhere }).sha256, sha256)
})

const identity: RunIdentity = {
  backbone: 'aa',
  task: { kind: 'classification', labels: ['a', 'b'] },
  options: { adapter: { size: 8 }, head: {}, trainable: ['head'], maxLength: 8, pair: false, epochs: 3 },
  data: { train: { rows: 2, sha256: '0'.repeat(64) } },
}

test('what differs is named, by its kind and with both values', (t) => {
  const refuse = (given: RunIdentity, code: string, message: RegExp) => {
    const error = t.throws(() => refuseOther('runs/a', identity, given), { code, message })
    return (error as unknown as { details: { differences: unknown } }).details.differences
  }
  const { options, data, task } = identity
  t.notThrows(() => refuseOther('runs/a', identity, JSON.parse(JSON.stringify(identity)) as RunIdentity))
  refuse({ ...identity, backbone: 'bb' }, 'ERR_RUN_BACKBONE', /runs\/a: .*"aa", is now "bb"/)
  const differences = refuse(
    { ...identity, options: { ...options, adapter: { size: 9 }, epochs: 4, earlyStopping: 2 } },
    'ERR_RUN_OPTIONS',
    /option "adapter\.size" was 8, is now 9; option "epochs" was 3, is now 4; option "earlyStopping" was not given, is now 2/,
  )
  t.deepEqual(differences, [
    { name: 'adapter.size', expected: 8, got: 9 },
    { name: 'epochs', expected: 3, got: 4 },
    { name: 'earlyStopping', expected: undefined, got: 2 },
  ])
  refuse(
    { ...identity, options: { ...options, adapter: false } },
    'ERR_RUN_OPTIONS',
    /option "adapter" was \{"size":8\}/,
  )
  refuse(
    { ...identity, data: { ...data, validation: { rows: 1, sha256: '1' } } },
    'ERR_RUN_DATA',
    /validation was not given/,
  )
  refuse(
    { ...identity, data: { train: { rows: 2, sha256: 'f'.repeat(64) } } },
    'ERR_RUN_DATA',
    /train\.sha256 was 0{12}\.\.\., is now f{12}\.\.\./,
  )
  refuse(
    { ...identity, task: { ...task, labels: ['b', 'a'] } },
    'ERR_RUN_DATA',
    /option "task\.labels" was \["a","b"\]/,
  )
})
