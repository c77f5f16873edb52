/** Tasks and chats of a workspace's queue. Times in ms since the record's start. */
export interface QueueRecord {
  /** Length of the record. */
  readonly windowMs: number;
  readonly tasks: readonly QueueTask[];
  readonly chats: readonly QueueChat[];
}

export interface QueueTask {
  readonly type: string;
  readonly atMs: number;
  /** How long an attempt at it runs. */
  readonly runMs: number;
  readonly priority: number;
  /** Attempts that fail at their end before one succeeds. */
  readonly failures: number;
}

export interface QueueChat {
  readonly capacity: number;
  /** Task types that the chat claims; null: every type. */
  readonly types: readonly string[] | null;
  readonly fromMs: number;
  /** Null where it is present at the record's end. */
  readonly untilMs: number | null;
  /**
   * How its presence ended: it unregistered, or its pings stopped without a close. Means nothing
   * where `untilMs` is null.
   */
  readonly end: "left" | "died";
  /** Spells without a heartbeat after which the chat was there again. */
  readonly silences: readonly QueueSilence[];
}

/** The chat worked on: `shim worker` gives up a task after 40 s without an answer [WK41]. */
export interface QueueSilence {
  /** Last sign of life. */
  readonly atMs: number;
  readonly forMs: number;
}
