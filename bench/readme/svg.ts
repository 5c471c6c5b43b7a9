import type { Panel, Plot } from './plot.js'

/** Pixels. */
const width = 760
const left = 12
const right = 12
const panelHeight = 190
const barArea = 120
const barWidth = 30
const barGap = 3
const legendLine = 20

/**
 * Colours that stay apart for all kinds of colour vision (Okabe & Ito 2008), on light and on dark ground; values stand on
 * the bars and the bars in the order of the legend, so nothing is told by colour alone.
 */
const colours = [
  { light: '#0072b2', dark: '#56b4e9' },
  { light: '#d98200', dark: '#e69f00' },
  { light: '#b7bcc2', dark: '#6b727a' },
  { light: '#009e73', dark: '#2cc197' },
  { light: '#cc79a7', dark: '#dd9cc0' },
]

/** A bar chart that follows the reader's light or dark scheme. */
export function drawSvg(plot: Plot): string {
  const columns = 2
  const legendRows = Math.ceil(plot.series.length / columns)
  const top = 44 + legendRows * legendLine
  const height = top + plot.panels.length * panelHeight + 4
  const highest = Math.max(
    ...plot.panels.flatMap(({ groups }) => groups.flatMap(({ bars }) => bars.map((b) => b.value))),
  )
  const legend = plot.series.map((name, i) => {
    const x = left + (i % columns) * (width / columns)
    const y = 40 + Math.floor(i / columns) * legendLine
    return `<rect class="s${i}" x="${x}" y="${y}" width="12" height="12" rx="2"/><text x="${x + 18}" y="${y + 10}">${escape(name)}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">`,
    `<title id="title">${escape(plot.title)}</title>`,
    `<desc id="description">${escape(describe(plot))}</desc>`,
    `<style>${style(plot.series.length)}</style>`,
    `<rect class="ground" width="${width}" height="${height}" rx="6"/>`,
    `<text class="title" x="${left}" y="24">${escape(plot.title)}</text>`,
    ...legend,
    ...plot.panels.map((panel, i) => drawPanel(panel, top + i * panelHeight, highest)),
    '</svg>',
    '',
  ].join('\n')
}

function drawPanel({ title, groups }: Panel, y: number, highest: number): string {
  const base = y + 36 + barArea
  const step = (width - left - right) / groups.length
  const parts = [
    `<text class="panel" x="${left}" y="${y + 14}">${escape(title)}</text>`,
    `<line class="axis" x1="${left}" x2="${width - right}" y1="${base + 0.5}" y2="${base + 0.5}"/>`,
  ]
  groups.forEach((group, i) => {
    const middle = left + (i + 0.5) * step
    const slot = Math.min(barWidth + barGap, (step - 6) / Math.max(1, group.bars.length))
    const start = middle - (slot * group.bars.length) / 2
    group.bars.forEach(({ series, value }, k) => {
      const tall = Math.max(1, (barArea * value) / highest)
      const x = start + k * slot
      parts.push(
        `<rect class="s${series}" x="${fixed(x)}" y="${fixed(base - tall)}" width="${fixed(slot - barGap)}" height="${fixed(tall)}"/>`,
        `<text class="value" x="${fixed(x + (slot - barGap) / 2)}" y="${fixed(base - tall - 4)}">${short(value)}</text>`,
      )
    })
    parts.push(`<text class="group" x="${fixed(middle)}" y="${base + 16}">${escape(group.title)}</text>`)
  })
  return parts.join('\n')
}

function style(series: number): string {
  const fill = (scheme: 'light' | 'dark') =>
    colours
      .slice(0, series)
      .map((colour, i) => `.s${i}{fill:${colour[scheme]}}`)
      .join('')
  return [
    'text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}',
    '.title{font-size:15px;font-weight:600}.panel{font-weight:600}.value{font-size:10px;text-anchor:middle}.group{text-anchor:middle}',
    `.ground{fill:#fff}.axis{stroke:#8c959f}${fill('light')}`,
    `@media (prefers-color-scheme:dark){text{fill:#e6edf3}.ground{fill:#0d1117}.axis{stroke:#6e7681}${fill('dark')}}`,
  ].join('')
}

/** All numbers in words, for who does not see the bars. */
function describe({ series, panels }: Plot): string {
  const bars = (group: Panel['groups'][number]) =>
    group.bars
      .map(({ series: index, value }) => `${series[index]} ${Math.round(value).toLocaleString('en-US')}`)
      .join(', ')
  return panels
    .map(({ title, groups }) => `${title}: ${groups.map((group) => `${group.title}: ${bars(group)}`).join('; ')}.`)
    .join(' ')
}

/** `940`, `4.2k`, `17k`: fits a bar. */
function short(value: number): string {
  if (value < 1000) return String(Math.round(value))
  return value < 9950 ? `${(value / 1000).toFixed(1)}k` : `${Math.round(value / 1000)}k`
}

function fixed(value: number): string {
  return String(Math.round(10 * value) / 10)
}

function escape(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}
