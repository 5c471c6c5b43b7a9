/** What the system's codes for a failed write mean. */
const words: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'there is no permission to write there',
  EPERM: 'there is no permission to write there',
  ENOENT: 'its folder is not there',
  ENOTDIR: 'a part of its path is a file, not a folder',
  EEXIST: 'a part of its path is a file, not a folder',
  EISDIR: 'a folder has that name',
  ENOTEMPTY: 'a folder of that name holds other files',
  EIO: 'the device does not answer',
}

/** The code in words, with the code itself; undefined for one that says nothing about files. */
export function describeCode(code: string | undefined): string | undefined {
  return code !== undefined && Object.hasOwn(words, code) ? `${words[code]} (${code})` : undefined
}
