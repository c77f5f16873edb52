/** What a planted bug breaks in the clients: each is a rule of trust that is not kept. */
export interface ClientQuirks {
  readonly hasMargin: boolean;
  /** Which clocks count. */
  readonly clocks: "both" | "monotonic" | "wall";
  /** From when a reply counts. */
  readonly trustsFrom: "request" | "reply";
  /** What is left of a grant that is found again counts as its whole ttl. */
  readonly ignoresRemaining: boolean;
  /** A grant that was waited for is trusted at once, for its whole ttl. */
  readonly trustsWhileWaiting: boolean;
  /** A ping brings back what had run out. */
  readonly pingsRevive: boolean;
  /** Pings count for what was bound in an earlier registration, too. */
  readonly pingsOutliveLives: boolean;
  /** After a jump of the clocks all goes on as before. */
  readonly ignoresJumps: boolean;
  /** A process that does not answer is reported as dead. */
  readonly attestsTheLiving: boolean;
  /** A process that gives a lease back goes on with it. */
  readonly keepsReleased: boolean;
  /** A submit without an answer is sent again under another id. */
  readonly submitsAnew: boolean;
  /** Who takes a task up begins at the beginning. */
  readonly beginsAnew: boolean;
  /** A result counts although it was refused. */
  readonly countsRefused: boolean;
  /** A process goes on with a task that it has given back. */
  readonly keepsReturned: boolean;
  /** Who has room again waits to be told. */
  readonly neverAsks: boolean;
}

export const soundClient: ClientQuirks = {
  hasMargin: true,
  clocks: "both",
  trustsFrom: "request",
  ignoresRemaining: false,
  trustsWhileWaiting: false,
  pingsRevive: false,
  pingsOutliveLives: false,
  ignoresJumps: false,
  attestsTheLiving: false,
  keepsReleased: false,
  submitsAnew: false,
  beginsAnew: false,
  countsRefused: false,
  keepsReturned: false,
  neverAsks: false,
};
