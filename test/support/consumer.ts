/** The package as others get it: packed, and installed into an empty folder. */
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { addonPath, describe } from '../../lib/runtime/binding.js'
import { run, type Outcome } from './child.js'
import { asTsv, colourRows, roomyBackbone, temporaryFolder, writeFiles } from './folder.js'
import { packageRoot } from './shared.js'

/** Why nothing can be installed here, or undefined where the registry answers. */
export async function registryMissing(): Promise<string | undefined> {
  const quickly = ['--fetch-retries=0', '--fetch-timeout=10000']
  const { status, stderr } = await run('npm', ['view', 'commander', 'version', ...quickly])
  if (status === 0) return undefined
  return `the npm registry cannot be reached (${/^npm error (.*)$/m.exec(stderr)?.[1] ?? `exit ${status}`})`
}

/** Packs a folder. dist/ has to be there: no script runs. @returns the tarball */
async function pack(folder: string, into: string): Promise<string> {
  await mkdir(into, { recursive: true })
  await succeed('npm', ['pack', '--ignore-scripts', '--pack-destination', into], folder)
  const [name = ''] = await readdir(into)
  return join(into, name)
}

export interface Tarballs {
  /** Where they lie; whoever packed them removes it. */
  readonly folder: string
  /** Without a prebuilt addon, as where there is none for the platform. */
  readonly plain: string
  /** With the addon of this machine as its prebuilt one. */
  readonly prebuilt: string
}

export async function packTarballs(): Promise<Tarballs> {
  const folder = await mkdtemp(join(tmpdir(), 'onnx-adapters-packed-'))
  await succeed('tar', ['-xzf', await pack(packageRoot, join(folder, 'own')), '-C', folder])
  const unpacked = join(folder, 'package')
  await rm(join(unpacked, 'prebuilds'), { recursive: true, force: true })
  const plain = await pack(unpacked, join(folder, 'plain'))
  const place = join(unpacked, 'prebuilds', `${process.platform}-${process.arch}`)
  await mkdir(place, { recursive: true })
  describe() // So that the addon is loaded, and its file known.
  await copyFile(addonPath()!, join(place, 'onnx_adapters.node'))
  return { folder, plain, prebuilt: await pack(unpacked, join(folder, 'prebuilt')) }
}

/** An empty folder with a tarball installed, and something to train on. */
export class Consumer {
  readonly folder: string
  /** What `npm install` said. */
  readonly log: string

  private constructor(folder: string, log: string) {
    this.folder = folder
    this.log = log
  }

  static async install(t: ExecutionContext, tarball: string, flags: readonly string[] = []): Promise<Consumer> {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true }))
    await roomyBackbone(join(folder, 'backbone'))
    await writeFiles(folder, { 'train.tsv': asTsv(colourRows(160)) })
    const quiet = ['--no-audit', '--no-fund', '--foreground-scripts']
    // Without the variable, the script of onnxruntime-node fetches CUDA libraries from elsewhere.
    const environment = { ONNXRUNTIME_NODE_INSTALL: 'skip' }
    const { status, stdout, stderr } = await run('npm', ['install', tarball, ...quiet, ...flags], {
      cwd: folder,
      environment,
    })
    if (status !== 0) throw new Error(`npm install failed:\n${stdout}${stderr}`)
    return new Consumer(folder, stdout + stderr)
  }

  /** Runs the package's command. */
  command(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    const cache = { XDG_CACHE_HOME: join(this.folder, 'cache') }
    return run('npx', ['--no', 'onnx-adapters', ...args], {
      cwd: this.folder,
      environment: { ...cache, ...environment },
    })
  }

  /** 20 steps. */
  train(): Promise<Outcome> {
    const options = ['--epochs', '4', '--adapter-size', '8', '--threads', '1']
    return this.command(['train', '--backbone', 'backbone', '--train', 'train.tsv', '--output', 'run', ...options])
  }

  /** Runs a program of the consumer's; the name's end says whether it is a module. */
  async program(name: string, text: string): Promise<Outcome> {
    await writeFile(join(this.folder, name), text)
    return run(process.execPath, [name], { cwd: this.folder })
  }
}

async function succeed(command: string, args: readonly string[], cwd?: string): Promise<void> {
  const { status, stdout, stderr } = await run(command, args, { cwd })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${status}\n${stdout}${stderr}`)
}
