import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { PassThrough } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { DataError } from '../../errors.js'

/**
 * The lines of a UTF-8 text file without their ends (`\n` or `\r\n`), gzip undone where the name ends in `.gz`, a
 * byte-order mark dropped. A last line end makes no empty line.
 * @throws DataError ERR_DATA_MISSING, ERR_DATA_READ, ERR_DATA_GZIP, ERR_DATA_ENCODING (with the line)
 */
export async function* readLines(file: string): AsyncGenerator<string> {
  await checkReadable(file)
  yield* cutLines(readBytes(file), file)
}

/**
 * The lines of UTF-8 text that comes in pieces, as readLines gives them.
 * @param name of the source, for messages
 * @throws DataError ERR_DATA_ENCODING (with the line)
 */
export async function* cutLines(bytes: AsyncIterable<Buffer>, name: string): AsyncGenerator<string> {
  let line = 0
  let rest: Buffer[] = []
  for await (const chunk of bytes) {
    // Lines are cut from bytes, so that a bad byte is found in its own line; `\n` is never part of another character.
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const piece = chunk.subarray(start, end)
      yield decode(rest.length > 0 ? Buffer.concat([...rest, piece]) : piece, name, ++line)
      rest = []
      start = end + 1
    }
    if (start < chunk.length) rest.push(chunk.subarray(start))
  }
  if (rest.length > 0) yield decode(Buffer.concat(rest), name, ++line)
}

async function checkReadable(file: string): Promise<void> {
  const handle = await open(file, 'r').catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT'
    const code = missing ? 'ERR_DATA_MISSING' : 'ERR_DATA_READ'
    throw new DataError(
      code,
      `${file}: ${missing ? 'no such data file' : `cannot be read: ${cause.message}`}`,
      { file },
      { cause },
    )
  })
  try {
    if ((await handle.stat()).isDirectory()) {
      throw new DataError('ERR_DATA_READ', `${file}: is a folder, expected a data file`, {
        file,
        found: 'folder',
        expected: 'file',
      })
    }
  } finally {
    await handle.close()
  }
}

async function* readBytes(file: string): AsyncGenerator<Buffer> {
  try {
    yield* (/\.gz$/i.test(file) ? unzipped(file) : createReadStream(file)) as AsyncIterable<Buffer>
  } catch (error) {
    const cause = error as NodeJS.ErrnoException
    // The errors of zlib are called Z_DATA_ERROR and the like; all others are the disk's.
    throw cause.code?.startsWith('Z_')
      ? new DataError(
          'ERR_DATA_GZIP',
          `${file}: broken gzip data: ${cause.message}`,
          { file, expected: 'gzip' },
          { cause },
        )
      : new DataError('ERR_DATA_READ', `${file}: cannot be read: ${cause.message}`, { file }, { cause })
  }
}

function unzipped(file: string): PassThrough {
  const output = new PassThrough()
  // The pipeline's error also ends the loop over its output; it is thrown there.
  pipeline(createReadStream(file), createGunzip(), output).catch(() => {})
  return output
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decode(bytes: Buffer, file: string, line: number): string {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch (cause) {
    throw new DataError(
      'ERR_DATA_ENCODING',
      `${file}, line ${line}: not valid UTF-8; save the file as UTF-8`,
      {
        file,
        row: line,
        expected: 'UTF-8',
      },
      { cause },
    )
  }
  if (line === 1 && text.startsWith('\ufeff')) text = text.slice(1)
  return text.endsWith('\r') ? text.slice(0, -1) : text
}
