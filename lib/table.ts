/**
 * Text for people: rows of cells in columns, two spaces apart. No rows: an empty text.
 * @param align of every column but the first, which stands at the left
 */
export function table(rows: readonly (readonly string[])[], align: 'left' | 'right' = 'left'): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  const place = (cell: string, i: number) =>
    i > 0 && align === 'right' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)
  return rows.map((row) => row.map(place).join('  ').trimEnd()).join('\n')
}
