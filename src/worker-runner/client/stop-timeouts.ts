/** Times after INT and after TERM. */
export interface StopTimeouts {
  readonly interruptMs: number;
  readonly graceMs: number;
}

/** SIGINT makes a client report its last event, with the usage. */
export const defaultStopTimeouts: StopTimeouts = { interruptMs: 5_000, graceMs: 5_000 };
