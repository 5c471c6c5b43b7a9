import { choosePlot } from './plot.js'
import type { Results } from './results.js'
import { drawSvg } from './svg.js'
import { makeTables } from './tables.js'

const start = '<!-- benchmark: made by `npm run bench:readme`, do not edit -->'
const end = '<!-- /benchmark -->'

/** Where the plot lies, from the root. */
export const plotFile = 'bench/results/speed.svg'

/** The plot as an SVG document; undefined without results. */
export function makePlot(results: Results): string | undefined {
  const plot = choosePlot(results)
  return plot && drawSvg(plot)
}

/**
 * The README with its benchmark section made anew.
 * @throws Error where the marks of the section are not there
 */
export function updateReadme(readme: string, results: Results): string {
  const [from, to] = [readme.indexOf(start), readme.indexOf(end)]
  if (from < 0 || to < from)
    throw new Error(`README.md lacks the marks of the benchmark section: the lines ${start} and ${end}`)
  const plot = choosePlot(results)
  const image = plot ? [`![${plot.title}: the numbers are in the tables below](${plotFile})`] : []
  return `${readme.slice(0, from)}${[start, ...image, makeTables(results), end].join('\n\n')}${readme.slice(to + end.length)}`
}
