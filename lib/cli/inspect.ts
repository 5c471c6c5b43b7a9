import { Command } from 'commander'
import { inspect, type Inspection } from '../backbone/inspect.js'
import type { ImportExplanation } from '../onnx/explain.js'
import { loadBackbone } from '../backbone/load.js'
import { planReport, printPlanReport, type PlanReport } from '../plan/report.js'
import { Trainer } from '../train/trainer.js'
import { bringWithProgress } from './fetch_progress.js'
import { count, log, print, printJson, table, type CommonOptions } from './io.js'

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('what the importer sees in a model, and how far it is from ONNX Runtime')
    .argument('<backbone>', 'a folder with model.onnx, an .onnx file, or a name such as all-MiniLM-L6-v2')
    .option('--explain', 'of a file that does not lift: the nearest match, the node that broke it, the graph around it')
    .option('--plan', 'print the memory plan of a training step, with adapters of size 64')
    .action(async (path: string, options: { plan?: boolean; explain?: boolean }, command: Command) => {
      const { json = false, quiet = false } = command.optsWithGlobals<CommonOptions>()
      await bringWithProgress(path, quiet)
      if (options.plan) {
        const report = await reportPlan(path)
        if (json) await printJson(report)
        else await print(printPlanReport(report))
        return
      }
      const inspection = await inspect(path, { explain: options.explain ?? false })
      if ('code' in inspection) {
        process.exitCode = 1
        await (json ? printJson(inspection) : print(describeExplanation(inspection)))
        return
      }
      if (inspection.warning && !quiet) log(`warning: ${inspection.warning}`)
      if (json) await printJson(inspection)
      else await print(describeInspection(inspection))
    })
}

function describeInspection(inspection: Inspection): string {
  const { trainedParameters, maxAbsDifference, parameters, ...rest } = inspection
  const sizes = Object.entries(trainedParameters).map(
    ([size, trained]) => `${count(trained)} with adapters of size ${size}`,
  )
  return table([
    ['architecture', rest.architecture],
    [
      'layers',
      `${rest.layers}, hidden ${rest.hidden}, ${rest.heads} heads, feed-forward ${rest.feedForward} (${rest.activation})`,
    ],
    ['vocabulary', count(rest.vocabulary)],
    ['positions', count(rest.positions)],
    ['pooler', rest.pooler ? 'yes' : 'no'],
    ['parameters', count(parameters)],
    ['trained, without head', sizes.join('; ')],
    [
      'ONNX Runtime',
      maxAbsDifference === null ? 'not compared' : `largest difference ${maxAbsDifference.toExponential(1)}`,
    ],
  ])
}

/** Everything that a report of a bug needs. */
function describeExplanation(explanation: ImportExplanation): string {
  const { code, layers, pattern, reached, node, operator, expected, missing, found, graph } = explanation
  const operators = Object.entries(explanation.operators).map(([type, times]) => `${type} ${times}`)
  const facts = table([
    ['error', code],
    ['file made by', `${explanation.producer}, opset ${explanation.opset}`],
    ['layers understood', String(layers)],
    ['nearest match', pattern],
    ['found before', reached.join('; ') || 'nothing of it'],
    ['broken by', node === null ? 'no one node' : `${operator ?? 'value'} "${node}"`],
    ['expected', expected],
    ['found', found ?? 'see the message'],
    ['missing', missing ?? 'unknown'],
    ['operators', operators.join(', ')],
  ])
  const around = graph.length ? `\n\nThe graph around it (B batch, S sequence):\n${graph.join('\n')}` : ''
  return `${explanation.message}\n\n${facts}${around}`
}

async function reportPlan(path: string): Promise<PlanReport> {
  const backbone = await loadBackbone(path, { verify: false })
  await using trainer = await Trainer.create({ backbone, task: { kind: 'classification', outputs: 2 } })
  return planReport(trainer.plan)
}
