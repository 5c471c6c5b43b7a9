import { activate } from './activations.js'
import { attribute, extents, need, tensor } from './types.js'
import type { Kernel, Round, Tensor } from './types.js'

/** a[R,K] · w[N,K]ᵀ: sums in index order. */
export function timesTransposed(a: Tensor, w: Tensor, r: Round): Tensor {
  const [rows, inner] = extents(a)
  const columns = w.shape[0]!
  const y = tensor([rows, columns])
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0
      for (let k = 0; k < inner; k++) sum = r(sum + r(a.data[i * inner + k]! * w.data[j * inner + k]!))
      y.data[i * columns + j] = sum
    }
  }
  return y
}

/** d[R,N] · w[N,K]. */
export function times(d: Tensor, w: Tensor, r: Round): Tensor {
  const [rows, inner] = extents(d)
  const columns = w.shape[1]!
  const y = tensor([rows, columns])
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0
      for (let k = 0; k < inner; k++) sum = r(sum + r(d.data[i * inner + k]! * w.data[k * columns + j]!))
      y.data[i * columns + j] = sum
    }
  }
  return y
}

/** d[R,N]ᵀ · x[R,K] -> [N,K]: sums over rows. */
export function transposedTimes(d: Tensor, x: Tensor, r: Round): Tensor {
  const [rows, n] = extents(d)
  const k = x.shape[1]!
  const y = tensor([n, k])
  for (let t = 0; t < rows; t++) {
    for (let i = 0; i < n; i++) {
      const scale = d.data[t * n + i]!
      for (let j = 0; j < k; j++) y.data[i * k + j] = r(y.data[i * k + j]! + r(scale * x.data[t * k + j]!))
    }
  }
  return y
}

export function sumRows(d: Tensor, r: Round): Tensor {
  const [rows, n] = extents(d)
  const y = tensor([n])
  for (let t = 0; t < rows; t++) for (let i = 0; i < n; i++) y.data[i] = r(y.data[i]! + d.data[t * n + i]!)
  return y
}

/** In place: every row plus b. */
export function addBias(y: Tensor, b: Tensor, r: Round): void {
  const columns = y.shape[1]!
  for (let i = 0; i < y.data.length; i++) y.data[i] = r(y.data[i]! + b.data[i % columns]!)
}

export const linear: Kernel = (call) => {
  const u = timesTransposed(need(call, 'x'), need(call, 'w'), call.round)
  const bias = call.inputs['b']
  if (bias) addBias(u, bias, call.round)
  const y = tensor(u.shape)
  const derivative = tensor(u.shape)
  for (let i = 0; i < u.data.length; i++) {
    const activated = activate(attribute(call, 'activation'), u.data[i]!, call.round)
    y.data[i] = activated.y
    derivative.data[i] = activated.derivative
  }
  return { y, derivative }
}

export const linearDx: Kernel = (call) => {
  const dx = times(need(call, 'dy'), need(call, 'w'), call.round)
  const epilogue = attribute(call, 'epilogue')
  if (epilogue === 0) return { dx }
  const other = need(call, 'other').data
  const join = (value: number, i: number) => (epilogue === 1 ? value * other[i]! : value + other[i]!)
  return {
    dx: tensor(
      dx.shape,
      Float64Array.from(dx.data, (value, i) => call.round(join(value, i))),
    ),
  }
}

export const linearDw: Kernel = (call) => {
  const dy = need(call, 'dy')
  const x = call.inputs['x']
  return { db: sumRows(dy, call.round), ...(x && { dw: transposedTimes(dy, x, call.round) }) }
}
