const tasks = new Set<() => void>()
let watching = false

/** Runs the work should the process exit before the returned function takes it back. It must be synchronous. */
export function atExit(work: () => void): () => void {
  tasks.add(work)
  if (!watching) process.once('exit', runAll)
  watching = true
  return () => void tasks.delete(work)
}

function runAll(): void {
  for (const work of tasks) {
    try {
      work()
    } catch {
      // One file that cannot be removed keeps no other from being removed.
    }
  }
}
