/** Waits for a moment, then tries to get a lock, and keeps it until it is told to end. */
import { acquireLock } from '../../lib/formats/lock.js'

const [file, moment] = [process.argv[2]!, Number(process.argv[3])]
// All at once: the last milliseconds are spent looking at the clock.
await new Promise((resolve) => setTimeout(resolve, moment - Date.now() - 20))
while (Date.now() < moment);
try {
  await acquireLock(file)
  console.log('won')
  process.stdin.resume()
} catch (error) {
  console.log((error as { code?: string }).code ?? String(error))
}
