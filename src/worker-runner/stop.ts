/**
 * cancelled: somebody wants it no more; lost: the claim is over, or can no longer be trusted; time and budget: all of it is used; leaving: the
 * worker ends.
 */
export type StopKind = "cancelled" | "lost" | "time" | "budget" | "leaving";

/** Why an attempt is stopped: the reason of its signal. */
export class Stop extends Error {
  readonly kind: StopKind;

  constructor(kind: StopKind, message: string) {
    super(message);
    this.name = "Stop";
    this.kind = kind;
  }
}
