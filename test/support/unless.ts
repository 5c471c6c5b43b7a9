/** Tests that need what not every machine has: where it is absent they are skipped, by name and reason. */
import test, { type ExecutionContext } from 'ava'
import { runtimeVersion } from '../../lib/backbone/verify.js'

/** Why nothing can be compared with ONNX Runtime; undefined where it is installed. */
export const lacksRuntime = runtimeVersion() === undefined ? 'onnxruntime-node is not installed' : undefined

type Body = (t: ExecutionContext) => void | Promise<void>

/**
 * Registers a test that runs unless `reason` says why it cannot.
 * @param reason what is missing and how to get it; undefined where nothing is
 */
export function testUnless(reason: string | undefined, title: string, body: Body): void {
  if (reason === undefined) test(title, body)
  else test.skip(`${title}: ${reason}`, body)
}

/** The same, never beside another test of the file. */
export function serialTestUnless(reason: string | undefined, title: string, body: Body): void {
  if (reason === undefined) test.serial(title, body)
  else test.serial.skip(`${title}: ${reason}`, body)
}
