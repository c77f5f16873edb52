import { dirname, isAbsolute, relative } from "node:path";
import { snapshots } from "../../store/session-tables.ts";
import { teamConflicts } from "../../store/team-tables.ts";
import { realPath } from "../../platform/real-path.ts";
import { runApart } from "../../runtime/run-apart.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { foreseeConflicts } from "../../snapshots/foresee-conflicts.ts";
import type { FileConflict } from "../../snapshots/merge-answer.ts";
import type { Sql } from "../../shared/sql.ts";
import { isAlive } from "../recovery/session-state.ts";
import { pathOf } from "../sessions/entries.ts";
import { branchSwitches, gitFolders, projectRoot, readHead } from "../sessions/git-head.ts";
import { isSessionPaused } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import { mergeNews, switchNews, tell, treeNews, type WorkingChat } from "./conflict-news.ts";
import * as reservationTable from "./reservation-table.ts";

/** A repository with several living chats, one of which has done something. */
interface BusyRepository {
  readonly chats: readonly WorkingChat[];
  readonly roots: readonly string[];
}

/** Each further tree adds a merge with every other one. */
const maxTrees = 12;
const timeoutMs = 20_000;
/** Journal entries from before the host's start that are looked at. */
const firstEntries = 200;
const maxEdits = 100;

/** SQL: whether a call may have changed files, by a shell as well. */
const mayChange =
  "kind IN ('tool_end', 'tool_error') AND coalesce(body ->> 'action', '') <> 'read' AND body ->> 'name' NOT IN ('Read', 'Grep', 'Glob', 'LS')";

/** [CF4] Foresees conflicts between the living chats of this machine. One call at a time. */
export class ConflictWatch {
  readonly #runtime: Runtime;
  /** Last journal entry that was looked at; null: none yet. */
  #seq: number | null = null;
  /** Last forecast of each pair of work trees. */
  readonly #forecasts = new Map<string, { readonly state: string; readonly conflicts: readonly FileConflict[] }>();
  #problem = "";

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Looks at what the chats did since the last call. @returns how many repositories it merged */
  async check(signal?: AbortSignal): Promise<number> {
    const { store, config } = this.#runtime;
    if (!config.team.isEnabled || !config.team.conflicts) return 0;
    const active = store.read((sql) => this.#findActive(sql), new Set<string>());
    const chats = active.size === 0 ? [] : store.read((sql) => livingChats(sql, this.#runtime), []);
    const busy = chats.length < 2 ? [] : groupByRepository(chats, active);
    if (busy.length === 0) return 0;
    store.write((sql) => {
      closeEnded(sql, chats);
      for (const repository of busy) meetInTrees(sql, this.#runtime, repository);
    });
    const merged = busy.filter(({ roots }) => roots.length > 1);
    for (const repository of merged) await this.#merge(repository, signal);
    return merged.length;
  }

  /** Chats that may have changed files since the last call. */
  #findActive(sql: Sql): Set<string> {
    const last = sql.all<{ last: number | null }>("SELECT max(seq) AS last FROM journal")[0]?.last ?? 0;
    const since = this.#seq ?? last - firstEntries;
    this.#seq = last;
    const query = `SELECT DISTINCT session FROM journal WHERE seq > ? AND seq <= ? AND ${mayChange}`;
    return new Set(sql.all<{ session: string }>(query, since, last).map(({ session }) => session));
  }

  async #merge({ chats, roots }: BusyRepository, signal?: AbortSignal): Promise<void> {
    const { store, env, paths, config, now, log } = this.#runtime;
    const input = {
      env: { ...env },
      trees: roots.map((root) => ({ root, commit: store.read((sql) => freshSnapshot(sql, root, chats), null) })),
      snapshots: paths.snapshots,
      limits: config.snapshots,
      timeoutMs,
      now: now(),
      known: [...this.#forecasts.values()].map(({ state }) => state),
    };
    const { pairs, problems } = await runApart(this.#runtime, "foreseeConflicts", foreseeConflicts, input, signal);
    const problem = problems.join("; ");
    if (problem !== "" && problem !== this.#problem) log("warn", "conflicts could not be foreseen", { problem });
    this.#problem = problem;
    store.write((sql) => {
      for (const { roots: pair, state, conflicts } of pairs) {
        const key = pair.join("\0");
        const found = conflicts ?? this.#forecasts.get(key)?.conflicts ?? [];
        this.#forecasts.set(key, { state, conflicts: found });
        for (const two of meetings(chats, pair)) settle(sql, now(), two, pair, found);
      }
    });
  }
}

function livingChats(sql: Sql, runtime: Runtime): WorkingChat[] {
  const roots = new Map<string, string | null>();
  const rootOf = (folder: string): string | null => {
    if (!roots.has(folder)) roots.set(folder, projectRoot(realPath(folder)));
    return roots.get(folder) ?? null;
  };
  const living = [...sessions.listOpen(sql)].filter(
    (one) => isAlive(runtime, one) && !isSessionPaused(sql, runtime.now(), one),
  );
  return living.map((session) => {
    const edits = sql.all<{ path: string }>(
      `SELECT body ->> 'path' AS path FROM journal WHERE session = ? AND kind = 'tool_end'
         AND body ->> 'action' IN ('edited', 'created', 'deleted') ORDER BY seq DESC LIMIT ${maxEdits}`,
      session.id,
    );
    const edited = new Map<string, string>();
    for (const { path } of edits) {
      const root = isAbsolute(path) ? rootOf(dirname(path)) : null;
      if (root !== null && !edited.has(root)) edited.set(root, relative(root, realPath(path)));
    }
    return { session, home: session.project === null ? null : rootOf(session.project), edited };
  });
}

function groupByRepository(chats: readonly WorkingChat[], active: ReadonlySet<string>): BusyRepository[] {
  const withTrees = chats.flatMap((chat) =>
    rootsOf(chat).flatMap((root) => {
      const { common } = gitFolders(root);
      return common === null ? [] : [{ chat, root, common }];
    }),
  );
  return Object.values(Object.groupBy(withTrees, ({ common }) => common))
    .map((group = []) => ({
      chats: [...new Set(group.map(({ chat }) => chat))],
      roots: [...new Set(group.map(({ root }) => root))].toSorted().slice(0, maxTrees),
    }))
    .filter((group) => group.chats.length > 1 && group.chats.some(({ session }) => active.has(session.id)));
}

/** Work trees of its edits, and where it has edited nothing yet the one in which it was started. */
function rootsOf({ home, edited }: WorkingChat): string[] {
  return edited.size > 0 || home === null ? [...edited.keys()] : [home];
}

/** The newest snapshot of a work tree, if no commit and no call of its chats followed it. */
function freshSnapshot(sql: Sql, root: string, chats: readonly WorkingChat[]): string | null {
  const rest = "WHERE project = ? AND state = 'done' ORDER BY at DESC LIMIT 1";
  const [newest] = snapshots.select(sql, rest, root);
  if (newest === undefined || newest.head !== readHead(root)?.commit) return null;
  const last = `SELECT at FROM journal WHERE session = ? AND ${mayChange} ORDER BY seq DESC LIMIT 1`;
  const isBehind = chats
    .filter((chat) => chat.home === root || chat.edited.has(root))
    .some(({ session }) => (sql.all<{ at: number }>(last, session.id)[0]?.at ?? 0) >= newest.at);
  return isBehind ? null : newest.commit;
}

type Two = readonly [WorkingChat, WorkingChat];

/** Each two chats of two work trees, once. */
function meetings(chats: readonly WorkingChat[], [root, otherRoot]: readonly [string, string]): Two[] {
  const workIn = (one: string): WorkingChat[] => chats.filter((chat) => rootsOf(chat).includes(one));
  const [here, there] = [workIn(root), workIn(otherRoot)];
  return here.flatMap((chat) =>
    there
      .filter((other) => chat !== other)
      // Two that work in both trees would meet twice.
      .filter((other) => !(here.includes(other) && there.includes(chat)) || chat.session.id < other.session.id)
      .map((other): Two => [chat, other]),
  );
}

/** [CF5] Stores what is foreseen now; files that were not before are news to both chats. */
function settle(
  sql: Sql,
  now: number,
  two: Two,
  [root, otherRoot]: readonly [string, string],
  conflicts: readonly FileConflict[],
): void {
  const [session, other] = [two[0].session.id, two[1].session.id];
  const pair = { kind: "merge", session, other, root, otherRoot } as const;
  const where = "WHERE kind = 'merge' AND session = ? AND other = ? AND root = ? AND otherRoot = ?";
  const open = teamConflicts.select(sql, where, session, other, root, otherRoot);
  const fresh: FileConflict[] = [];
  for (const one of conflicts) {
    const path = pathOf(one.path);
    const [lines, otherLines] = one.lines;
    const row = open.find((known) => known.path === path);
    if (row === undefined) {
      const [did, otherDid] = one.did;
      teamConflicts.insert(sql, { ...pair, path, did, otherDid, lines, otherLines, at: now });
      fresh.push(one);
    } else if (row.lines !== lines || row.otherLines !== otherLines) {
      teamConflicts.update(sql, { seq: row.seq }, { lines, otherLines });
    }
  }
  const paths = new Set(conflicts.map(({ path }) => pathOf(path)));
  for (const { seq, path } of open) if (!paths.has(path)) teamConflicts.delete(sql, { seq });
  if (fresh.length > 0) tell(sql, now, two, (reader, one) => mergeNews(sql, one, fresh, reader, [root, otherRoot]));
}

function closeEnded(sql: Sql, chats: readonly WorkingChat[]): void {
  const living = JSON.stringify(chats.map(({ session }) => session.id));
  sql.run(
    `DELETE FROM team_conflicts WHERE session NOT IN (SELECT value FROM json_each(?))
       OR other NOT IN (SELECT value FROM json_each(?))`,
    living,
    living,
  );
}

/** [CF7] [CF8] Looks for chats that share a work tree. */
function meetInTrees(sql: Sql, runtime: Runtime, { chats }: BusyRepository): void {
  const roots = new Set(chats.flatMap((chat) => [...rootsOf(chat), ...(chat.home === null ? [] : [chat.home])]));
  for (const root of roots) {
    const present = chats.filter((chat) => chat.home === root || chat.edited.has(root));
    if (present.length < 2) continue;
    for (const two of pairsOf(present.filter(({ edited }) => edited.has(root))))
      shareTree(sql, runtime.now(), root, two);
    noteSwitches(sql, runtime, root, present);
  }
}

function pairsOf(chats: readonly WorkingChat[]): Two[] {
  return chats.flatMap((chat, at) => chats.slice(at + 1).map((other): Two => [chat, other]));
}

function shareTree(sql: Sql, at: number, root: string, two: Two): void {
  const [session = "", other = ""] = two.map((one) => one.session.id).toSorted();
  const pair = { kind: "tree", session, other, root } as const;
  const holders = new Set(reservationTable.list(sql).map(({ holder }) => holder));
  if (teamConflicts.has(sql, pair) || holders.has(session) || holders.has(other)) return;
  const row = { ...pair, otherRoot: root, path: pathOf(root), did: "changed", otherDid: "changed", at } as const;
  teamConflicts.insert(sql, row);
  tell(sql, at, two, (reader, one) => treeNews(sql, one, root, two[1 - reader]?.edited.get(root) ?? ""));
}

/** Switches that are older are no news any more. */
const switchAgeMs = 3_600_000;

function noteSwitches(sql: Sql, { now }: Runtime, root: string, present: readonly WorkingChat[]): void {
  for (const one of branchSwitches(root)) {
    // Git notes the second.
    const until = one.at + 999;
    const under = present.filter(({ session }) => session.startedAt <= until);
    if (now() - one.at > switchAgeMs || under.length < 2) continue;
    const atWork = under.filter(({ session }) => isAtWork(sql, session.id, one.at, until));
    const by = atWork.length === 1 ? atWork[0] : undefined;
    switchNews(sql, now(), root, one, under, by);
  }
}

/** Whether a call of the chat ran in this time. */
function isAtWork(sql: Sql, session: string, from: number, until: number): boolean {
  const query = `SELECT 1 FROM journal began WHERE session = ? AND kind = 'tool_start' AND at BETWEEN ? AND ?
    AND NOT EXISTS (SELECT 1 FROM journal WHERE session = began.session AND key = 'end:' || substr(began.key, 7) AND at < ?) LIMIT 1`;
  return sql.all(query, session, from - maxCallMs, until, from).length > 0;
}

const maxCallMs = 600_000;
