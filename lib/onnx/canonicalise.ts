import { type Facts } from './elementwise.js'
import { infer } from './infer.js'
import { contentOf, hasSameShape, isFloat, isInteger, numbersOf, shapeOf } from './known.js'
import {
  type Network,
  type Operator,
  type Quantity,
  attributeKey,
  constantOfNode,
  intsAttribute,
  linkNetwork,
  setConstant,
} from './network.js'
import { type Roles, findRoles } from './roles.js'
import { inferSplit } from './select.js'
import { Twins } from './twins.js'
import { DataType, type OnnxModel, type OnnxTensor } from './schema.js'

/** A network in which equal things are one thing, with what is known about each value. */
export interface Canonical {
  readonly network: Network
  readonly roles: Roles
  /** Operators that do something, in an order in which they can run. */
  readonly operators: readonly Operator[]
  /** The value that stands for a value of the file. */
  resolve(value: Quantity): Quantity
}

/**
 * One pass in running order: derives facts, makes constants of Constant nodes, drops what changes nothing (Identity,
 * Cast between widths, Reshape to the same shape, dropout) and merges operators that compute the same. Names and
 * counts of nodes play no part.
 */
export function canonicalise(model: OnnxModel): Canonical {
  const network = linkNetwork(model)
  const roles = findRoles(network)
  const substitutes = new Map<Quantity, Quantity>()
  const resolve = (value: Quantity): Quantity => substitutes.get(value) ?? value
  const keys = new Keys()
  const twins = new Twins()
  for (const value of network.names.values()) if (value.constant) value.constant = twins.find(value.constant)
  const operators: Operator[] = []
  for (const operator of network.operators) {
    operator.inputs = operator.inputs.map((input) => input && resolve(input))
    const [output] = operator.outputs
    if (!output) {
      operators.push(operator)
      continue
    }
    if (operator.type === 'Constant') {
      const tensor = constantOfNode(operator)
      if (tensor) {
        setConstant(output, twins.find(tensor))
        delete output.producer
        continue
      }
    }
    assign(output, infer(operator))
    if (reshapes.includes(operator.type) && foldConstant(operator.inputs[0], output)) continue
    if (operator.type === 'Split')
      operator.outputs.forEach((part, slot) => part && assign(part, inferSplit(operator, slot)))
    const twin = transparentInput(operator, output) ?? keys.find(operator)?.outputs[0]
    if (twin && twin !== output && replaceOutputs(operator, twin, substitutes)) continue
    operators.push(operator)
  }
  relink(network, operators)
  return { network, roles, operators, resolve }
}

/** No tensor of a model has more axes; a file that says so is not followed further. */
const maxRank = 64

function assign(output: Quantity, facts: Facts): void {
  if (facts.type !== undefined) output.type = facts.type
  if (facts.shape && facts.shape.length <= maxRank) output.shape = facts.shape
  if (facts.content && facts.content.length <= 4096) output.content = facts.content
  if (facts.field) output.field = facts.field
}

/** Operators with several used outputs stay, unless their twin has as many. */
function replaceOutputs(operator: Operator, twin: Quantity, substitutes: Map<Quantity, Quantity>): boolean {
  const extra = operator.outputs.slice(1).some((output) => output && output.consumers.length > 0)
  if (extra && twin.producer?.type !== operator.type) return false
  if (!extra) {
    substitutes.set(operator.outputs[0]!, twin)
    return true
  }
  const others = twin.producer!.outputs
  if (operator.outputs.some((output, i) => output && !others[i])) return false
  operator.outputs.forEach((output, i) => output && substitutes.set(output, others[i]!))
  return true
}

/** The input that an operator hands on unchanged. */
function transparentInput(operator: Operator, output: Quantity): Quantity | undefined {
  const [x] = operator.inputs
  switch (operator.type) {
    case 'Identity':
      return x
    case 'Dropout':
      // Without training_mode, dropout is off at inference.
      return operator.inputs[2] && numbersOf(operator.inputs[2])?.[0] !== 0 ? undefined : x
    case 'Cast':
    case 'CastLike': {
      const bothFloat = isFloat(x?.type) && isFloat(output.type)
      const bothInteger = isWide(x?.type) && isWide(output.type)
      return bothFloat || bothInteger || (x?.type !== undefined && x.type === output.type) ? x : undefined
    }
    case 'Reshape':
    case 'Unsqueeze':
    case 'Squeeze':
    case 'Flatten':
      return earlierView(x, output)
    case 'Expand':
    case 'Slice':
      return hasSameShape(x, output) ? x : undefined
    case 'Transpose':
      return intsAttribute(operator, 'perm')?.every((axis, i) => axis === i) ? x : undefined
    case 'Where': {
      const condition = contentOf(operator.inputs[0])
      const first = condition?.[0]
      if (typeof first !== 'number' || !condition!.every((item) => item === first)) return undefined
      const branch = operator.inputs[first !== 0 ? 1 : 2]
      return hasSameShape(branch, output) ? branch : undefined
    }
    default:
      return undefined
  }
}

const reshapes = ['Reshape', 'Unsqueeze', 'Squeeze', 'Flatten']

/** A reshaped constant is a constant. */
function foldConstant(x: Quantity | undefined, output: Quantity): boolean {
  const shape = output.shape
  if (!x?.constant || !shape?.every((dim) => typeof dim === 'number')) return false
  setConstant(output, { ...x.constant, dims: [...shape] as number[] })
  delete output.producer
  return true
}

/** A value of the same shape that holds the same elements, before a chain of reshapes. */
function earlierView(x: Quantity | undefined, output: Quantity): Quantity | undefined {
  let source = x
  for (let step = 0; source && step < maxViews; step++) {
    if (hasSameShape(source, output)) return source
    source = viewed(source)
  }
  return undefined
}

const maxViews = 32

/** What a value is a reshape of. */
function viewed({ producer }: Quantity): Quantity | undefined {
  return producer && reshapes.includes(producer.type) ? producer.inputs[0] : undefined
}

/** The value before a chain of reshapes. */
function unviewed(value: Quantity): Quantity {
  let source = value
  for (let step = 0; step < maxViews; step++) source = viewed(source) ?? source
  return source
}

/** Types that hold token ids and sizes without loss. */
function isWide(type: number | undefined): boolean {
  return isInteger(type) && type !== DataType.uint8 && type !== DataType.int8 && type !== DataType.int16
}

/** Finds operators that compute what an earlier one does: same type, attributes and inputs. */
class Keys {
  readonly #operators = new Map<string, Operator>()
  readonly #numbers = new Map<Quantity, string>()
  readonly #constants = new Map<string, string>()

  find(operator: Operator): Operator | undefined {
    const key = this.#viewKey(operator) ?? this.#key(operator)
    if (key === undefined) return undefined
    const known = this.#operators.get(key)
    if (!known) this.#operators.set(key, operator)
    return known
  }

  #key(operator: Operator): string | undefined {
    if (random.has(operator.type)) return undefined
    const attributes = attributeKey(operator)
    if (attributes === undefined) return undefined
    const inputs = operator.inputs.map((input) => (input ? this.#number(input) : '-'))
    // The operands of sums and products have no order.
    if (operator.type === 'Add' || operator.type === 'Mul') inputs.sort()
    return [operator.type, attributes, inputs.join()].join('\u0003')
  }

  /** Reshapes of one value to one shape are the same, however the shape is given. */
  #viewKey(operator: Operator): string | undefined {
    const shape = shapeOf(operator.outputs[0])
    const source = operator.inputs[0] && reshapes.includes(operator.type) && unviewed(operator.inputs[0])
    if (!source || !shape?.every((dim) => dim !== undefined)) return undefined
    return ['View', this.#number(source), JSON.stringify(shape)].join('\u0003')
  }

  #number(value: Quantity): string {
    let number = this.#numbers.get(value)
    if (number === undefined) {
      number = this.#constantNumber(value) ?? String(this.#numbers.size)
      this.#numbers.set(value, number)
    }
    return number
  }

  /** Small constants are the same where their content is. */
  #constantNumber(value: Quantity): string | undefined {
    if (!value.constant || !isSmall(value.constant)) return undefined
    const numbers = numbersOf(value)
    if (!numbers) return undefined
    const key = `${value.constant.dataType}[${shapeOf(value)?.join()}]${numbers.join()}`
    let number = this.#constants.get(key)
    if (number === undefined) {
      number = `c${this.#constants.size}`
      this.#constants.set(key, number)
    }
    return number
  }
}

const random = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Bernoulli',
  'Multinomial',
])

function isSmall(tensor: OnnxTensor): boolean {
  return tensor.dims.reduce<number>((product, dim) => product * Number(dim), 1) <= 16
}

/** Consumers after the substitutions. */
function relink(network: Network, operators: readonly Operator[]): void {
  for (const value of network.names.values()) value.consumers.length = 0
  for (const operator of operators) for (const input of new Set(operator.inputs)) input?.consumers.push(operator)
}
