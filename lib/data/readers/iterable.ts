import type { ExampleInput } from '../example.js'
import { objectRow } from './json_lines.js'
import type { SourceRow } from './row.js'

/**
 * Rows handed in by the caller.
 * @throws DataError ERR_DATA_ROW for one that is no object
 */
export async function* readIterable(
  source: Iterable<ExampleInput> | AsyncIterable<ExampleInput>,
): AsyncGenerator<SourceRow> {
  let row = 0
  for await (const input of source) yield objectRow(input, { row: ++row })
}
