import { describeMachine } from '../../lib/bench/machine.js'

/** What a result file says about where its numbers come from. */
export const machine = describeMachine
