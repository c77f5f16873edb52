import { lstatSync, type Stats } from "node:fs";
import { dirname } from "node:path/posix";
import { setImmediate as breathe } from "node:timers/promises";
import { SUBMODULE_MODE, type Change, type Changes } from "./changes.ts";
import { onDisk, shown, type RawPath } from "./git.ts";
import { SecretContent } from "./secret-content.ts";
import { looksSecret, secretName } from "./secret-names.ts";

export interface LeftOut {
  readonly path: string;
  readonly reason: string;
}

/** The last entry tells how many more there are than `most`. */
export function firstLeftOut(leftOut: readonly LeftOut[], most: number): LeftOut[] {
  if (leftOut.length <= most) return [...leftOut];
  return [...leftOut.slice(0, most), { path: "...", reason: `and ${leftOut.length - most} more` }];
}

export interface Limits {
  readonly maxFileBytes: number;
  readonly maxTotalBytes: number;
}

/** Why a folder is left out that has a `.git` of its own. */
export const ownRepository = "a git repository of its own";

/** What becomes of the changed paths. */
export interface Selection {
  /** Read from the work tree. */
  readonly taken: readonly Change[];
  readonly bytes: number;
  /** No longer in the work tree. */
  readonly deleted: readonly Change[];
  /** The snapshot keeps what HEAD has of them, or nothing. */
  readonly kept: readonly Change[];
  readonly leftOut: readonly LeftOut[];
}

/** A file that became a folder counts as deleted: the files in it are changes of their own. */
type Verdict = { readonly is: "taken"; readonly bytes: number } | { readonly is: "deleted" } | LeftOutVerdict;
interface LeftOutVerdict {
  readonly is: "left out";
  readonly reason: string;
}

/** Paths looked at without giving other work of this process a turn: their content takes about a millisecond for 200 KB. */
const TURN = 50;

/** Decides for each change by its name, kind, size and content. [GS7] [GS8] [GS9] [GS10] [GS24] Whatever is left out is named with the reason. */
export async function select(
  top: string,
  { changes, tracked, closedFolders }: Changes,
  filters: ReadonlyMap<RawPath, string>,
  limits: Limits,
  isOwn: (path: RawPath) => boolean,
): Promise<Selection> {
  const look: Look = { top, limits, links: new Map(), content: new SecretContent() };
  const candidates: { change: Change; bytes: number }[] = [];
  const deleted: Change[] = [];
  const kept: Change[] = [];
  const leftOut: LeftOut[] = closedFolders.map((path) => ({ path, reason: "this folder cannot be opened" }));
  const leave = (change: Change, reason: string) => {
    kept.push(change);
    leftOut.push({
      path: shown(change.path),
      reason: change.before ? `${reason}; the last commit's version is kept` : reason,
    });
  };
  for (const [index, change] of changes.entries()) {
    if (index % TURN === TURN - 1) await breathe();
    if (isOwn(change.path)) continue;
    const verdict = judge(look, change, filters.get(change.path));
    if (verdict.is === "taken") candidates.push({ change, bytes: verdict.bytes });
    else if (verdict.is === "deleted") deleted.push(change);
    else leave(change, verdict.reason);
  }
  const { taken, bytes } = withinTotal(candidates, limits, leave);
  return { taken, bytes, deleted, kept, leftOut: [...leftOut, ...unchangedButNamed({ changes, tracked }, filters)] };
}

/** What is known while the changes of one snapshot are gone through. */
interface Look {
  readonly top: string;
  readonly limits: Limits;
  readonly links: Map<string, boolean>;
  readonly content: SecretContent;
}

function judge(look: Look, { path, before }: Change, filter: string | undefined): Verdict {
  const { top, links } = look;
  if (path.endsWith("/")) return leftOut(ownRepository);
  const stats = isBehindLink(top, path, links) ? undefined : readStats(top, path);
  if (!stats) return { is: "deleted" };
  if (stats.isDirectory()) return before?.mode === SUBMODULE_MODE ? leftOut("a submodule") : { is: "deleted" };
  const reason = stats.isSymbolicLink() ? null : refusal(look, path, stats, filter);
  return reason === null ? { is: "taken", bytes: stats.size } : leftOut(reason);
}

function leftOut(reason: string): LeftOutVerdict {
  return { is: "left out", reason };
}

/** Undefined: nothing is there, or nothing can be (a parent is a file, the name is too long). */
export function readStats(top: string, path: RawPath): Stats | undefined {
  try {
    return lstatSync(onDisk(top, path), { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Git stores a link, never what is reached through it: below one nothing of the project is left. */
function isBehindLink(top: string, path: RawPath, links: Map<string, boolean>): boolean {
  const folder = dirname(path);
  if (folder === ".") return false;
  const known = links.get(folder);
  if (known !== undefined) return known;
  const isLink = isBehindLink(top, folder, links) || readStats(top, folder)?.isSymbolicLink() === true;
  links.set(folder, isLink);
  return isLink;
}

function refusal(
  { top, limits, content }: Look,
  path: RawPath,
  stats: Stats,
  filter: string | undefined,
): string | null {
  if (!stats.isFile()) return "a socket, pipe or device";
  if (looksSecret(path)) return secretName;
  if (filter !== undefined) return `git keeps it through the filter ${shown(filter)}, which is not run`;
  if (stats.size > limits.maxFileBytes) return `larger than ${limits.maxFileBytes} bytes`;
  return content.reason(onDisk(top, path), path);
}

function rank(change: Change): number {
  return change.isTracked ? 0 : 1;
}

/** [GS8] Changes of tracked files come first, then new files, small before large. */
function withinTotal(
  candidates: readonly { change: Change; bytes: number }[],
  { maxTotalBytes }: Limits,
  leave: (change: Change, reason: string) => void,
): { taken: Change[]; bytes: number } {
  const taken: Change[] = [];
  let bytes = 0;
  const inOrder = [...candidates].sort((a, b) => rank(a.change) - rank(b.change) || a.bytes - b.bytes);
  for (const { change, bytes: size } of inOrder) {
    if (bytes + size > maxTotalBytes) {
      leave(change, `the snapshot is full (${maxTotalBytes} bytes)`);
      continue;
    }
    bytes += size;
    taken.push(change);
  }
  return { taken, bytes };
}

/** [GS9] Submodules always; tracked files under a filter that are unchanged: their stored form is in the snapshot. */
function unchangedButNamed(
  { changes, tracked }: Pick<Changes, "changes" | "tracked">,
  filters: ReadonlyMap<RawPath, string>,
): LeftOut[] {
  const changed = new Set(changes.map(({ path }) => path));
  const named: LeftOut[] = [];
  for (const { path, mode } of tracked) {
    if (changed.has(path)) continue;
    const filter = filters.get(path);
    if (mode === SUBMODULE_MODE) named.push({ path: shown(path), reason: "a submodule" });
    else if (filter !== undefined)
      named.push({
        path: shown(path),
        reason: `kept as the filter ${shown(filter)} stored it, not as it is in the work tree`,
      });
  }
  return named;
}
