/** Runs small models in ONNX Runtime, in this process: whether a changed file still computes the same. */
import type * as OnnxRuntime from 'onnxruntime-node'
import { halfToFloat } from '../../lib/formats/half.js'
import { DataType, type OnnxModel } from '../../lib/onnx/schema.js'
import { encodeModel } from '../../lib/onnx/write.js'

type Runtime = typeof OnnxRuntime

let runtime: Promise<Runtime> | undefined

function load(): Promise<Runtime> {
  // The library would report its use to its makers, and leave a session file in the working folder.
  process.env['ORT_DISABLE_TELEMETRY'] = '1'
  return (runtime ??= import('onnxruntime-node').then(
    (module) => (module as unknown as { default?: Runtime }).default ?? module,
  ))
}

/** The outputs of these names on two rows of eight tokens, of which the second is padded on the right. */
export async function runtimeOutputs(model: OnnxModel, names: readonly string[]): Promise<Map<string, Float32Array>> {
  const { InferenceSession, Tensor } = await load()
  const session = await InferenceSession.create(encodeModel(model), {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  const [rows, length, real] = [2, 8, 5]
  const feeds = Object.fromEntries(
    model.graph!.input.map(({ name, type }) => {
      const values = Array.from({ length: rows * length }, (_, i) => {
        const padded = i >= length + real
        if (/mask/.test(name!)) return padded ? 0 : 1
        if (/type|segment/.test(name!)) return i % length > 3 && !padded ? 1 : 0
        return padded ? 1 : 4 + ((i * 7) % 40)
      })
      const wide = type?.tensorType?.elemType !== DataType.int32
      const tensor = wide
        ? new Tensor('int64', BigInt64Array.from(values, BigInt), [rows, length])
        : new Tensor('int32', Int32Array.from(values), [rows, length])
      return [name!, tensor]
    }),
  )
  const results = await session.run(feeds, [...names])
  await session.release()
  return new Map(names.map((name) => [name, toFloats(results[name]!)]))
}

function toFloats({ data }: OnnxRuntime.Tensor): Float32Array {
  return data instanceof Uint16Array ? Float32Array.from(data, halfToFloat) : Float32Array.from(data as Float32Array)
}
