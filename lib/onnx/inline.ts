import { OnnxImportError } from '../errors.js'
import type { OnnxAttribute, OnnxFunction, OnnxModel, OnnxNode } from './schema.js'

/** Calls in calls deeper than this, or more nodes than this, are an attack or an accident, not a model. */
const maxDepth = 32
const maxNodes = 200_000

/**
 * The nodes of the graph with every call of a local function replaced by the function's body, its values renamed
 * `<caller's output>/<name>`.
 * @throws OnnxImportError ERR_ONNX_FORMAT for functions that call themselves
 */
export function inlineFunctions(model: OnnxModel): OnnxNode[] {
  const nodes = model.graph!.node
  if (!model.functions.length) return nodes
  const functions = new Map(
    model.functions.map((definition) => [keyOf(definition.domain, definition.name, definition.overload), definition]),
  )
  const result: OnnxNode[] = []
  let calls = 0
  const expand = (node: OnnxNode, depth: number) => {
    const definition = functions.get(keyOf(node.domain, node.opType, node.overload))
    if (definition) {
      if (depth >= maxDepth) throw tooLarge(node, `calls nest deeper than ${maxDepth}`)
      if (++calls > maxNodes) throw tooLarge(node, `it has more than ${maxNodes} calls`)
      for (const inner of instantiate(definition, node)) expand(inner, depth + 1)
      return
    }
    if (result.length >= maxNodes) throw tooLarge(node, `it grows beyond ${maxNodes} nodes`)
    result.push(node)
  }
  for (const node of nodes) expand(node, 0)
  return result
}

function keyOf(domain = '', name = '', overload = ''): string {
  return [domain === 'ai.onnx' ? '' : domain, name, overload].join('\u0001')
}

function tooLarge(node: OnnxNode, reason: string): OnnxImportError {
  const message = `The ONNX graph cannot be expanded at the function call "${node.name ?? ''}": ${reason}.`
  return new OnnxImportError('ERR_ONNX_FORMAT', message, { node: node.name, expected: 'functions that end' })
}

/** The body with the caller's values in place of parameters and results. */
function instantiate(definition: OnnxFunction, call: OnnxNode): OnnxNode[] {
  const prefix = call.output.find((output) => output) ?? call.name ?? ''
  const names = new Map<string, string>()
  definition.input.forEach((name, i) => names.set(name, call.input[i] ?? ''))
  definition.output.forEach((name, i) => {
    if (call.output[i]) names.set(name, call.output[i])
  })
  const rename = (name: string) => (name === '' ? '' : (names.get(name) ?? `${prefix}/${name}`))
  const given = new Map<string, OnnxAttribute>()
  for (const attribute of definition.attributeProto) given.set(attribute.name ?? '', attribute)
  for (const attribute of call.attribute) given.set(attribute.name ?? '', attribute)
  const body = definition.node.map((node) => ({
    ...node,
    name: `${call.name || prefix}/${node.name ?? node.opType ?? ''}`,
    input: node.input.map(rename),
    output: node.output.map(rename),
    attribute: node.attribute.flatMap((attribute) => bindAttribute(attribute, given)),
  }))
  return [...body, ...passedThrough(definition, call)]
}

/** A reference takes the caller's attribute; where the caller gives none, the attribute is absent. */
function bindAttribute(attribute: OnnxAttribute, given: ReadonlyMap<string, OnnxAttribute>): OnnxAttribute[] {
  if (!attribute.refAttrName) return [attribute]
  const value = given.get(attribute.refAttrName)
  if (!value) return []
  const bound: OnnxAttribute = { ...value }
  if (attribute.name !== undefined) bound.name = attribute.name
  return [bound]
}

/** Results that are parameters: the call writes a copy. */
function passedThrough(definition: OnnxFunction, call: OnnxNode): OnnxNode[] {
  return definition.output.flatMap((name, i) => {
    const source = definition.input.indexOf(name)
    const output = call.output[i]
    if (source < 0 || !output) return []
    return [{ opType: 'Identity', input: [call.input[source] ?? ''], output: [output], attribute: [] }]
  })
}
