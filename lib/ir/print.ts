import type { Graph, Node, Value } from './graph.js'

/**
 * The graph as text, one line per node, so that a pass can be tested by reading:
 * `%3 = linear(x: %2 [T,384], w: layer.0.ffn.up.weight [1536,384] frozen) activation=gelu  # layer.0.ffn.up`
 * Activations are numbered in order; other values go by name and storage. Attributes that are 0 or none are left out.
 */
export function print(graph: Graph): string {
  const numbers = new Map<Value, string>()
  const lines = graph.nodes.map((node) => {
    const targets = Object.entries(node.outputs).map(([operand, value], i) => {
      if (value.storage === 'activation') numbers.set(value, `%${numbers.size}`)
      return (i === 0 ? '' : `${operand}: `) + reference(value, numbers)
    })
    return `${targets.join(', ')} = ${call(node, numbers)}`
  })
  for (const [name, value] of Object.entries(graph.outputs)) lines.push(`${name}: ${operand(value, numbers)}`)
  return lines.join('\n')
}

function call(node: Node, numbers: ReadonlyMap<Value, string>): string {
  const operands = Object.entries(node.inputs).map(([name, value]) => `${name}: ${operand(value, numbers)}`)
  const attributes = Object.entries(node.attributes)
    .filter(([, value]) => value !== 0 && value !== 'none')
    .map(([name, value]) => ` ${name}=${value}`)
  return `${node.op}(${operands.join(', ')})${attributes.join('')}  # ${node.name}`
}

function operand(value: Value, numbers: ReadonlyMap<Value, string>): string {
  return `${reference(value, numbers)} [${value.shape.join(',')}]${value.storage === 'frozen' ? ' frozen' : ''}`
}

function reference(value: Value, numbers: ReadonlyMap<Value, string>): string {
  switch (value.storage) {
    case 'activation':
      return numbers.get(value) ?? `?${value.name}`
    case 'input':
    case 'frozen':
      return value.name
    case 'parameter':
    case 'gradient':
    case 'moment1':
    case 'moment2':
    case 'task':
    case 'working':
      return `${value.storage} ${value.name}`
    default:
      return value.storage satisfies never
  }
}
