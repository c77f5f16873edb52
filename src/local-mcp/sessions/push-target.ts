/** Pure: the references that a `git push` names. */
export interface PushTarget {
  /** Remote by its name; null: the one that git's configuration has. */
  readonly remote: string | null;
  /** The local one; null: the present branch, or as git's configuration says. */
  readonly from: string | null;
  /** The remote one; null: as `from`. */
  readonly to: string | null;
  readonly isDeletion: boolean;
}

const withValue: ReadonlySet<string> = new Set(["-o", "--push-option", "--repo", "--receive-pack", "--exec"]);

/** @returns null for another command, and for one that names several references */
export function readPush(words: readonly string[]): PushTarget | null {
  const at = words.indexOf("push");
  if (words[0]?.endsWith("git") !== true || at < 0) return null;
  const rest = words.slice(at + 1);
  if (rest.some((word) => /^--(?:all|mirror|tags|branches|prune)$/.test(word))) return null;
  const named = rest.filter((word, index) => !word.startsWith("-") && !withValue.has(rest[index - 1] ?? ""));
  const [remote = null, reference = null, ...more] = named;
  if (more.length > 0) return null;
  const [from = null, to = null] = reference === null ? [] : reference.replace(/^\+/, "").split(":");
  const isDeletion = from === "" || rest.includes("--delete") || rest.includes("-d");
  return { remote, from: from === "" ? to : from, to, isDeletion };
}
