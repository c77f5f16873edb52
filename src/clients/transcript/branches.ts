/** Pure. Prompts that their user takes back: by an edit, a rewind or a rollback. */

/** A prompt and the rows that follow it, which the user may take back. */
export interface Branch {
  /** Branch that it continues. */
  readonly parent: Branch | null;
  isWithdrawn: boolean;
  /** Another window of the session has it. */
  readonly isForeign?: boolean;
}

/**
 * The work of tools in a branch that was taken back stays done.
 * @returns whether a branch, or one that it continues, was taken back
 */
export function withdrawnBranches(): (branch: Branch | null) => boolean {
  const isGoneByBranch = new Map<Branch | null, boolean>([[null, false]]);
  return (branch) => {
    const path: Branch[] = [];
    let at = branch;
    for (; at !== null && !isGoneByBranch.has(at); at = at.parent) path.push(at);
    let isGone = isGoneByBranch.get(at) === true;
    for (const one of path.toReversed()) isGoneByBranch.set(one, (isGone ||= one.isWithdrawn));
    return isGone;
  };
}
