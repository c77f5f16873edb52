/** Pure: no storage, no clock. */

/** Time in which calls of one chat may have changed files, in epoch ms. */
export interface CallTime {
  readonly from: number;
  readonly to: number;
  /** Words for another chat and its call; null: the call is the chat's own. */
  readonly other: string | null;
  /** False: whether it still ran in this time is not known. */
  readonly isCertain: boolean;
}

/** Whose a change is; `reason`: why it stays. */
export type Author =
  | { readonly is: "own" }
  /** `doubtful`: it may be the chat's. */
  | { readonly is: "doubtful" | "other"; readonly reason: string };

export const own: Author = { is: "own" };
/** The clock of the file system stands still for so long, in ms. */
export const tickMs = 20;

/** @param changedMs time of the last change of a file, by the file system */
export function authorOf(changedMs: number, calls: readonly CallTime[]): Author {
  const during = calls.filter(({ from, to }) => changedMs >= from - tickMs && changedMs <= to);
  const other = during.find((call) => call.other !== null)?.other ?? null;
  const certain = during.some((call) => call.other === null && call.isCertain);
  if (certain && other === null) return own;
  if (certain) return doubtful(`${other} at the same time`);
  if (during.some((call) => call.other === null))
    return doubtful("it was changed when a call of the chat may have been over");
  if (other !== null) return { is: "other", reason: `${other} when it was changed` };
  const isLater = calls.every((call) => call.other !== null || call.to < changedMs);
  const when = isLater ? "after the chat's last call" : "while no call of the chat ran";
  return { is: "other", reason: `it was changed ${when}` };
}

/**
 * @param from epoch ms at which it was there
 * @param changedMs of its folder: a path that is gone has no time
 */
export function authorOfGone(from: number, changedMs: number, calls: readonly CallTime[]): Author {
  const author = authorOf(changedMs, calls);
  if (author.is === "own") return authorWithin(from, changedMs, calls);
  const isLast = calls.every((call) => call.other !== null || call.from < changedMs);
  if (author.is !== "other" || isLast) return author;
  return doubtful("it was deleted in the turn, and its folder was changed while no call of the chat ran");
}

/** Whose a change is of which the time is not known. */
export function authorWithin(from: number, to: number, calls: readonly CallTime[]): Author {
  const other = calls.find((call) => call.other !== null && call.from <= to && call.to >= from)?.other ?? null;
  return other === null ? own : doubtful(`${other} at the same time`);
}

/** The user may know better, and takes the change by its path. */
export function doubtful(why: string): Author {
  const how = "named behind the prompt, as in `shim undo last <file>`, it is taken back";
  return { is: "doubtful", reason: `${why}: whose change it is is not known; ${how}` };
}
