/** Disks that refuse: a small one of its own where the tests may mount, and writes that fail on purpose anywhere. */
import { execFileSync } from 'node:child_process'
import { mkdir, open, statfs, writeFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { temporaryFolder } from './folder.js'

/** Why there is no small disk; undefined where there can be one. */
export const noMount = mountProblem()

function mountProblem(): string | undefined {
  if (process.platform !== 'linux') return 'tmpfs is of Linux'
  if (process.getuid?.() !== 0) return 'only root may mount'
  try {
    // In a name space of its own, so that nothing is left.
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'mounting is not allowed here'
  }
}

/** The folder of a small file system, which goes when the test ends. */
export async function smallDisk(t: ExecutionContext, size: string): Promise<string> {
  const folder = join(await temporaryFolder(t), 'disk')
  await mkdir(folder)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder])
  t.teardown(() => void execFileSync('umount', ['--lazy', folder]))
  return folder
}

export function makeReadOnly(disk: string): void {
  execFileSync('mount', ['-o', 'remount,ro', disk])
}

/** Takes all the space that is left. @returns the file to remove */
export async function fillDisk(disk: string): Promise<string> {
  const file = join(disk, 'filler')
  const { bavail, bsize } = await statfs(disk)
  await writeFile(file, Buffer.alloc(bavail * bsize))
  return file
}

type Method = 'writeFile' | 'sync'

/**
 * Makes a method of all file handles fail with a system code, always or at some calls, until the returned function is
 * called. Tests that use it must be alone in their process.
 */
export async function failHandles(
  method: Method,
  code: string,
  when: (call: number) => boolean = () => true,
): Promise<() => void> {
  const handle = await open(process.execPath, 'r')
  const prototype = Object.getPrototypeOf(handle) as Record<Method, (...args: unknown[]) => Promise<unknown>>
  await handle.close()
  const before = prototype[method]
  let calls = 0
  prototype[method] = async function (this: FileHandle, ...args) {
    if (!when(++calls)) return before.apply(this, args)
    // Half of what was asked for gets through, as on a disk that fills up.
    if (method === 'writeFile') await before.call(this, Buffer.from(args[0] as Uint8Array).subarray(0, 10))
    throw Object.assign(new Error(`${code}: on purpose`), { code })
  }
  return () => void (prototype[method] = before)
}
