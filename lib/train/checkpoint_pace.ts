/** Between two checkpoints inside an epoch, in milliseconds. */
const usualPause = 60_000
/** Of the time between two checkpoints, what writing one may take: large states are written less often. */
const largestShare = 1 / 50

/** Says when the state after a step is due to be kept. */
export class CheckpointPace {
  private last: number
  private pause = usualPause

  /**
   * @param steps so many steps apart; 0: never inside an epoch. @default a minute apart, or longer where writing takes
   * more than 2 % of that
   * @param now in milliseconds
   */
  constructor(
    private readonly steps?: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.last = now()
  }

  /** @param step number of steps done */
  isDue(step: number): boolean {
    if (this.steps === undefined) return this.now() - this.last >= this.pause
    return this.steps > 0 && step % this.steps === 0
  }

  /** @param started when the writing began */
  written(started: number): void {
    this.last = this.now()
    this.pause = Math.max(usualPause, (this.last - started) / largestShare)
  }
}
