/** A terminal for programs that look at theirs: run one in it, and see what is on its screen afterwards. */
import { spawn, spawnSync } from 'node:child_process'

/** Runs a program under a pseudo terminal of so many columns; a second number is the width after the first frame. */
const runner = `
import fcntl, os, pty, struct, sys, termios
columns, later, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
resize = lambda fd, width: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, width, 0, 0))
pid, fd = pty.fork()
if pid == 0:
    resize(0, columns)
    os.execvp(command[0], command)
seen = b''
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    seen += data
    sys.stdout.buffer.write(data)
    if later and b'loss' in seen:
        resize(fd, later)
        later = 0
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
`

/** Why there is no pseudo terminal; undefined where there is one. */
export const noTerminal =
  spawnSync('python3', ['-c', 'import pty, os; os.waitstatus_to_exitcode'], { stdio: 'ignore' }).status === 0
    ? undefined
    : 'no python3 with pty'

export interface TerminalRun {
  readonly code: number | null
  readonly output: string
}

export function runInTerminal(
  command: readonly string[],
  { columns, later = 0, env = {} }: { columns: number; later?: number; env?: NodeJS.ProcessEnv },
): Promise<TerminalRun> {
  return new Promise((finish, fail) => {
    const running = spawn('python3', ['-c', runner, String(columns), String(later), ...command], {
      // Neither CI nor a locale of this machine decides what is shown.
      env: { ...process.env, CI: '', TERM: 'xterm', LC_ALL: 'C.UTF-8', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    running.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
    running.once('error', fail)
    running.once('close', (code) => finish({ code, output }))
  })
}

/**
 * The lines of a screen of endless height after some output. Knows what progress bars use: carriage return, line feed,
 * column, clearing, saving and restoring the cursor.
 */
export function screenOf(output: string, columns: number): string[] {
  const rows: string[][] = [[]]
  let [x, y] = [0, 0]
  let saved = [0, 0]
  const row = () => (rows[y] ??= [])
  for (const [token, , parameter = '', command = ''] of output.matchAll(/\x1b(\[(\??[\d;]*)([A-Za-z])|[78])|[^]/gu)) {
    if (token === '\r') x = 0
    else if (token === '\n') y++
    else if (token === '\x1b7') saved = [x, y]
    else if (token === '\x1b8') [x, y] = saved as [number, number]
    else if (command === 'G') x = Number(parameter || 1) - 1
    else if (command === 'K') rows[y] = parameter === '2' ? [] : row().slice(0, x)
    else if (command === 'J') rows.splice(y, rows.length, row().slice(0, x))
    else if (token.startsWith('\x1b')) throw new Error(`the screen does not know ${JSON.stringify(token)}`)
    else {
      // A character beyond the last column goes to the next row.
      if (x === columns) [x, y] = [0, y + 1]
      for (let i = row().length; i < x; i++) row()[i] = ' '
      row()[x++] = token
    }
  }
  return Array.from(rows, (cells) => (cells ?? []).join('').trimEnd())
}
