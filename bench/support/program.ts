import { spawn } from 'node:child_process'

/** What a program prints. @throws Error with the end of what it said, where it fails */
export function runProgram(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, signal, stdio: ['ignore', 'pipe', 'pipe'] })
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(text.stdout)
      else reject(new Error(`${program} ended with ${code}: ${text.stderr.trim().split('\n').slice(-3).join(' | ')}`))
    })
  })
}
