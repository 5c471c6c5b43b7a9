/** A Markdown table; the first column is text, the others are numbers. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = header.map((_, i) => (i === 0 ? '---' : '---:'))
  return [line(header), line(rule), ...rows.map(line)].join('\n')
}

export function wholeNumber(value: number | undefined): string {
  return value === undefined ? '' : Math.round(value).toLocaleString('en-US')
}

/** How a model is called: an adapter size, or another way to train. */
export function modelTitle(model: string): string {
  if (/^\d+$/.test(model)) return `adapters ${model}`
  const titles: Readonly<Record<string, string>> = {
    full: 'full fine-tuning',
    layernorm: 'LayerNorms and head',
    head: 'head alone',
  }
  if (titles[model]) return titles[model]
  const layers = model.replace('top-', '')
  return layers === '1' ? 'top layer' : `top ${layers} layers`
}
