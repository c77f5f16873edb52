/** lost: the claim has ended or cannot be trusted; leaving: the worker ends. */
export type StopKind = "cancelled" | "lost" | "time" | "budget" | "leaving";

export class Stop extends Error {
  readonly kind: StopKind;

  constructor(kind: StopKind, message: string) {
    super(message);
    this.name = "Stop";
    this.kind = kind;
  }
}
