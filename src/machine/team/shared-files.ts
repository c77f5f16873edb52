import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import type { NewRowOf, RowOf } from "../../shared/table.ts";
import { uncommitted } from "../../snapshots/changed-files.ts";
import { withTimeLimit } from "../../snapshots/git.ts";
import { teamConflicts } from "../../store/team-tables.ts";
import { pathOf } from "../sessions/entries.ts";
import { pairsOf, type Two, type WorkingChat } from "./conflicts.ts";

/** A file of one folder that two chats have edited. */
interface SharedFile {
  readonly root: string;
  readonly path: string;
  readonly two: Two;
  /** The later of the two edits. */
  readonly at: number;
}

/** Each costs git two processes. */
const maxFiles = 20;
const timeoutMs = 2_000;
/** Git notes the second of a commit. */
const commitMs = 999;

/**
 * Files that several chats have edited and no commit has taken up since.
 * @returns why it is not known
 */
export async function findSharedFiles(
  { env }: Runtime,
  chats: readonly WorkingChat[],
  signal: AbortSignal,
): Promise<SharedFile[] | string> {
  const edits = chats.flatMap((chat) => chat.edits.map((edit) => ({ ...edit, chat })));
  const meeting = [...Map.groupBy(edits, ({ root, path }) => `${root}\0${path}`).values()]
    .filter((group) => group.length > 1)
    .toSorted((a, b) => newest(b) - newest(a))
    .slice(0, maxFiles)
    .flat();
  return withTimeLimit<SharedFile[] | string>(
    { timeoutMs, signal },
    async (limit) => {
      const shared: SharedFile[] = [];
      for (const [root, group] of Map.groupBy(meeting, (edit) => edit.root)) {
        const byPath = Map.groupBy(group, ({ path }) => path);
        const oldest = Math.min(...group.map(({ at }) => at));
        const open = await uncommitted(env, root, [...byPath.keys()], oldest, limit);
        for (const [path, committedAt] of open) {
          const later = (byPath.get(path) ?? []).filter(({ at }) => committedAt === 0 || at > committedAt + commitMs);
          for (const [one, other] of pairsOf(later))
            shared.push({ root, path, two: [one.chat, other.chat], at: Math.max(one.at, other.at) });
        }
      }
      return shared;
    },
    (reason) => reason,
  );
}

function newest(edits: readonly { readonly at: number }[]): number {
  return Math.max(...edits.map(({ at }) => at));
}

/** Stores those that are open now in place of those that were. */
export function settleShared(sql: Sql, shared: readonly SharedFile[]): void {
  const found = shared.map(({ root, path, two, at }) => {
    const [session = "", other = ""] = two.map((one) => one.session.id).toSorted();
    const sides = { session, other, root, otherRoot: root, did: "changed", otherDid: "changed" } as const;
    return { kind: "file", ...sides, path: pathOf(path), at } as const;
  });
  replaceOpen(sql, teamConflicts.select(sql, "WHERE kind = 'file'"), found);
}

type Found = NewRowOf<typeof teamConflicts>;

/** Stores what is found now in place of what was open: a conflict that stays keeps its number. */
export function replaceOpen(sql: Sql, open: readonly RowOf<typeof teamConflicts>[], found: readonly Found[]): void {
  const gone = new Map(open.map((row) => [keyOf(row), row]));
  for (const one of found) {
    const { lines = null, otherLines = null } = one;
    const row = gone.get(keyOf(one));
    gone.delete(keyOf(one));
    if (!row) teamConflicts.insert(sql, one);
    else if (row.lines !== lines || row.otherLines !== otherLines)
      teamConflicts.update(sql, { seq: row.seq }, { lines, otherLines });
  }
  for (const { seq } of gone.values()) teamConflicts.delete(sql, { seq });
}

function keyOf({ session, other, root, otherRoot, path }: Found): string {
  return JSON.stringify([session, other, root, otherRoot, path]);
}
