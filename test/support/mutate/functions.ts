import type { OnnxFunction } from '../../../lib/onnx/schema.js'
import type { Mutation } from './draft.js'

/** Some nodes each behind a local function. */
export const functions: Mutation = {
  name: 'functions',
  apply(draft) {
    const { model } = draft
    const places = draft.graph.node.filter(
      ({ opType, domain, input }) => !domain && opType !== 'Constant' && input.length,
    )
    const chosen = draft.some(places, 0.2)
    for (const node of chosen) {
      const name = draft.fresh()
      const inner = (prefix: string) => (given: string, i: number) => (given ? `${prefix}${i}` : '')
      const body = { ...node, input: node.input.map(inner('x')), output: node.output.map(inner('y')) }
      const definition: OnnxFunction = {
        name,
        domain: 'local',
        input: body.input.filter(Boolean),
        output: body.output.filter(Boolean),
        attribute: [],
        attributeProto: [],
        node: [body],
        opsetImport: [{ domain: '', version: draft.opset }],
      }
      model.functions.push(definition)
      Object.assign(node, {
        opType: name,
        domain: 'local',
        attribute: [],
        input: node.input.filter(Boolean),
        output: node.output.filter(Boolean),
      })
    }
    if (!model.opsetImport.some(({ domain }) => domain === 'local'))
      model.opsetImport.push({ domain: 'local', version: 1 })
    // Functions exist since IR version 8.
    model.irVersion = Math.max(8, Number(model.irVersion ?? 8))
    return chosen.length
  },
}
