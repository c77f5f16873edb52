import { isAbsolute, relative } from "node:path";
import { clientTitle } from "../../clients/adapters.ts";
import type { ForeseenConflict } from "../../contract/machine/team.ts";
import { realPath } from "../../platform/real-path.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { teamConflicts } from "../../store/team-tables.ts";
import { isAlive } from "../recovery/session-state.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/short-ids.ts";
import * as others from "../sharing/sessions-elsewhere.ts";
import { editsOf } from "./working-chats.ts";

/** With the number of its row, which never returns. */
export type NumberedConflict = ForeseenConflict & { readonly seq: number };

type Row = RowOf<typeof teamConflicts>;
type Side = ForeseenConflict["chats"][number];

const maxConflicts = 200;
const maxElsewhere = 200;

/** Lists those between living chats, newest first. */
export function openConflicts(sql: Sql, runtime: Runtime): NumberedConflict[] {
  return toConflicts(sql, runtime, teamConflicts.select(sql, "ORDER BY seq DESC LIMIT ?", maxConflicts));
}

/** Lists the conflicts of one chat, which stands first in each, newest first. */
export function conflictsOf(sql: Sql, runtime: Runtime, session: string): NumberedConflict[] {
  const where = "WHERE session = ? OR other = ? ORDER BY seq DESC LIMIT ?";
  const open = toConflicts(sql, runtime, teamConflicts.select(sql, where, session, session, maxConflicts));
  return open.map((one) => {
    const [first, second] = one.chats;
    return first.chat === session ? one : Object.assign(one, { chats: [second, first] as const });
  });
}

function toConflicts(sql: Sql, runtime: Runtime, rows: readonly Row[]): NumberedConflict[] {
  if (rows.length === 0) return [];
  const elsewhere = others.listWithFiles(sql, maxElsewhere);
  const sideOf = (chat: string, of: Pick<Side, "root" | "did" | "lines">, isTree: boolean): Side | null => {
    const shortId = shortSessionId(sql, chat);
    const own = sessions.get(sql, chat);
    if (own !== null) {
      const known = { chat, shortId, title: sessions.displayTitle(own), client: clientTitle(own) };
      const edited = isTree ? editedIn(sql, chat, of.root) : [];
      return isAlive(runtime, own) ? { ...known, ...of, edited, savedAgeMs: null } : null;
    }
    const row = elsewhere.find(({ id }) => id === chat);
    const sent = row?.sealed.files?.sent;
    if (!row || !sent) return null;
    const known = { chat, shortId, title: row.title, client: clientTitle(row) };
    return { ...known, ...of, edited: [], savedAgeMs: runtime.now() - others.toLocalTime(row, sent.at) };
  };
  const pairOf = ({ session, other, root }: Row): string => [session, other, root].join("\0");
  const ofFiles = new Set(rows.filter(({ kind }) => kind === "file").map(pairOf));
  return rows.flatMap((row) => {
    const { seq, kind, path, at } = row;
    // The file that both have edited says more.
    if (kind === "tree" && ofFiles.has(pairOf(row))) return [];
    const one = sideOf(row.session, { root: row.root, did: row.did, lines: row.lines }, kind === "tree");
    const other = { root: row.otherRoot, did: row.otherDid, lines: row.otherLines };
    const two = one && sideOf(row.other, other, kind === "tree");
    return one && two ? [{ seq, kind, path, ageMs: runtime.now() - at, chats: [one, two] }] : [];
  });
}

const maxEdits = 100;
const maxShown = 5;

function editedIn(sql: Sql, chat: string, root: string): string[] {
  return editsOf(sql, chat, maxEdits)
    .map(({ path }) => relative(root, realPath(path)))
    .filter((path) => path !== ".." && !path.startsWith("../") && !path.startsWith("..\\") && !isAbsolute(path))
    .slice(0, maxShown);
}
