/** Times after the interrupt and after TERM. */
export interface StopTimeouts {
  readonly interruptMs: number;
  readonly graceMs: number;
}

/** An interrupted client reports its last event, with the usage. */
export const defaultStopTimeouts: StopTimeouts = { interruptMs: 5_000, graceMs: 5_000 };
