import type { NodeMaker } from './nodes.js'

/** The activation of an adapter, f32, by its name in option `adapter.activation`; GELU is one operator since version 20. */
export function addActivation(make: NodeMaker, x: string, activation: string): string {
  switch (activation) {
    case 'gelu_tanh':
      return make.edit.opset >= 20 ? make.add('Gelu', [x], { approximate: 'tanh' }) : tanhGelu(make, x)
    case 'gelu':
      return make.edit.opset >= 20 ? make.add('Gelu', [x], { approximate: 'none' }) : erfGelu(make, x)
    case 'relu':
      return make.add('Relu', [x])
    case 'silu':
      return make.add('Mul', [x, make.add('Sigmoid', [x])])
    case 'tanh':
      return make.add('Tanh', [x])
    default:
      throw new Error(`no activation is called ${activation}`)
  }
}

/** x/2 · (1 + tanh(sqrt(2/π) · (x + 0.044715 x³))), Hendrycks & Gimpel 2016. */
function tanhGelu(make: NodeMaker, x: string): string {
  const cube = make.add('Mul', [x, make.add('Mul', [x, x])])
  const inner = make.add('Add', [x, make.add('Mul', [cube, make.scalar(0.044715)])])
  const curve = make.add('Tanh', [make.add('Mul', [inner, make.scalar(Math.sqrt(2 / Math.PI))])])
  return halfOf(make, x, curve)
}

/** x/2 · (1 + erf(x/sqrt(2))), Hendrycks & Gimpel 2016. */
function erfGelu(make: NodeMaker, x: string): string {
  return halfOf(make, x, make.add('Erf', [make.add('Mul', [x, make.scalar(Math.SQRT1_2)])]))
}

function halfOf(make: NodeMaker, x: string, curve: string): string {
  const gate = make.add('Add', [curve, make.scalar(1)])
  return make.add('Mul', [make.add('Mul', [x, make.scalar(0.5)]), gate])
}
