// Packs an archive for a GPU host with no network and no Node: this machine's Node, what is compiled of TypeScript, the
// native sources, the recorded op cases and the few packages that all this needs. bundle_run.sh goes along as run.sh.
//   node scripts/bundle.mjs [--peers FOLDER] [--output FILE]
import {
  cpSync,
  copyFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
} from 'node:fs'
import { statSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildFolder, root } from './native.mjs'
import { packageFolders } from './packages.mjs'

const mostBytes = 60 * 1000 * 1000
const name = 'onnx-adapters-gpu'

/** Not needed where nothing is compiled by cmake-js and no model is compared with ONNX Runtime. */
const leftOut = ['cmake-js', 'onnxruntime-node']
/** Runs the tests. */
const added = ['ava']

const { values } = parseArgs({
  options: {
    peers: { type: 'string' },
    output: { type: 'string', default: join(buildFolder, 'bundle', `${name}.tar.gz`) },
  },
})

function fail(message) {
  console.error(`bundle:gpu: ${message}`)
  process.exit(1)
}

function pack() {
  const recordings = join(buildFolder, 'recordings')
  if (!existsSync(recordings) || readdirSync(recordings).length === 0)
    fail('there are no recorded op cases in build/recordings; npm run test:native makes them')
  for (const folder of ['dist', 'dist-test'])
    if (!existsSync(join(root, folder))) fail(`${folder}/ is not there; npm run bundle:gpu compiles it`)
  const stage = join(buildFolder, 'bundle', name)
  rmSync(stage, { recursive: true, force: true })
  mkdirSync(stage, { recursive: true })
  for (const part of ['native', 'cmake', 'scripts', 'dist', 'dist-test']) copy(join(root, part), join(stage, part))
  for (const part of ['native', 'golden', 'cuda', 'fixtures']) {
    const from = join(root, 'test', part)
    if (existsSync(from)) copy(from, join(stage, 'test', part))
  }
  for (const file of ['package.json', 'CMakeLists.txt', 'LICENSE']) copyFileSync(join(root, file), join(stage, file))
  copy(recordings, join(stage, 'build', 'recordings'))
  copyPackages(stage)
  copyPeers(stage)
  copyNode(stage)
  copyFileSync(join(root, 'scripts', 'bundle_run.sh'), join(stage, 'run.sh'))
  chmodSync(join(stage, 'run.sh'), 0o755)
  return stage
}

/** What runs, without what only people and debuggers read. */
function copy(from, to) {
  cpSync(from, to, {
    recursive: true,
    dereference: true,
    filter: (file) => !/\.(map|d\.[cm]?ts|tsbuildinfo)$|\/__pycache__$/.test(file),
  })
}

function copyPackages(stage) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const names = [...Object.keys(manifest.dependencies), ...added].filter((each) => !leftOut.includes(each))
  const modules = realpathSync(join(root, 'node_modules'))
  for (const folder of packageFolders(modules, names)) {
    const nested = (file) => relative(join(modules, folder), file).split('/').includes('node_modules')
    const needless = /\.(map|d\.[cm]?ts|md|markdown|flow)$/
    cpSync(join(modules, folder), join(stage, 'node_modules', folder), {
      recursive: true,
      filter: (file) => !nested(file) && !needless.test(file),
    })
  }
}

function copyPeers(stage) {
  if (!values.peers) return
  const scripts = readdirSync(values.peers).filter((file) => file.endsWith('.py'))
  if (!scripts.includes('torch_cuda.py')) fail(`${values.peers} has no torch_cuda.py`)
  mkdirSync(join(stage, 'peers'))
  for (const file of scripts) copyFileSync(join(values.peers, file), join(stage, 'peers', file))
}

/** Symbols that only debuggers need make up a part of Node; where strip is missing they go along. */
function copyNode(stage) {
  const target = join(stage, 'bin', 'node')
  mkdirSync(dirname(target))
  copyFileSync(realpathSync(process.execPath), target)
  chmodSync(target, 0o755)
  spawnSync('strip', ['--strip-unneeded', target], { stdio: 'ignore' })
  const { status } = spawnSync(target, ['-e', '0'])
  if (status !== 0) copyFileSync(realpathSync(process.execPath), target)
}

function compress(stage, output) {
  mkdirSync(dirname(output), { recursive: true })
  const { status, stderr } = spawnSync('tar', ['-czf', output, '-C', dirname(stage), basename(stage)], {
    encoding: 'utf8',
    env: { ...process.env, GZIP: '-9' },
  })
  if (status !== 0) fail(`tar: ${stderr}`)
  const { size } = statSync(output)
  if (size > mostBytes) fail(`${output} has ${size} bytes; at most ${mostBytes} were promised`)
  return size
}

const output = resolve(values.output)
const stage = pack()
const size = compress(stage, output)
console.log(`bundle:gpu: ${relative(root, output)}, ${(size / 1e6).toFixed(1)} MB of at most ${mostBytes / 1e6}`)
