import { untilAborted } from "../../coordinator-client/edge/platform.ts";
import { realPath } from "../../platform/paths.ts";
import { type Runtime, runApart } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import {
  type Side,
  clearForeseen,
  foreseeConflicts,
  type MadeSide,
  type FileConflict,
} from "../../snapshots/foresee-conflicts.ts";
import { branchSwitches, gitFolders, readHead } from "../../snapshots/git-head.ts";
import { userGit } from "../../snapshots/git.ts";
import { findMissing } from "../../snapshots/restore-files.ts";
import { teamConflicts } from "../../store/team-tables.ts";
import { projectOf, seeOne, reachFrom, type Reach } from "../recovery/elsewhere/candidates.ts";
import { pathOf } from "../sessions/entries.ts";
import { fetchFiles, fetchHeader } from "../sharing/sealed-records.ts";
import * as others from "../sharing/sessions-elsewhere.ts";
import { switchNews } from "./team-news.ts";
import * as reservationTable from "../sessions/reservation-table.ts";
import { replaceOpen, findSharedFiles, settleShared } from "./shared-files.ts";
import {
  type WorkingChat,
  chatsAtWork,
  hasEditedIn,
  hasWorkedSince,
  livingChats,
  pairsOf,
  rootsOf,
  type AtWork,
  type Two,
} from "./conflicts.ts";

/** Link to the workspace; null: none. */
type OpenLink = () => Linked | null | Promise<Linked | null>;
type Linked = Parameters<typeof reachFrom>[1];

/** A chat of another machine. */
interface ChatElsewhere extends WorkingChat {
  readonly row: others.SessionElsewhere;
  /** Id of the files that its machine has sealed last, which names its side. */
  readonly bundle: string;
}

const gitTimeoutMs = 5_000;

/** Chats of other machines, as far as they have sealed files for this one. */
class ChatsElsewhere {
  readonly #runtime: Runtime;
  readonly #link: OpenLink;
  #reach: Reach | null = null;
  /** Commits that a bundle rests on. */
  readonly #needs = new Map<string, readonly string[]>();

  constructor(runtime: Runtime, link: OpenLink) {
    this.#runtime = runtime;
    this.#link = link;
  }

  /** At most `most`, in any project. */
  list(most: number): ChatElsewhere[] {
    const rows = this.#runtime.store.read((sql) => others.listWithFiles(sql, most), []);
    return rows.flatMap((row) => {
      const { machine, project, sealed } = row;
      const sent = sealed.files?.sent;
      if (!sent) return [];
      const at = others.toLocalTime(row, sent.at);
      const elsewhere = { machine, root: `${machine}:${project ?? ""}`, at };
      const chat = { session: row, home: sent.bundle, edits: [], elsewhere };
      return [{ ...chat, row, bundle: sent.bundle }];
    });
  }

  /** @returns whether the workspace can be asked */
  async connect(): Promise<boolean> {
    const opened = await this.#link();
    this.#reach = opened && reachFrom(this.#runtime, opened, "");
    return this.#reach !== null;
  }

  /** Chats in the project of a work tree, which the workspace names the same on each machine. */
  async inProject(all: readonly ChatElsewhere[], root: string): Promise<ChatElsewhere[]> {
    if (this.#reach === null || all.length === 0) return [];
    const project = await projectOf(this.#reach, realPath(root));
    return all.filter(({ row }) => row.projectName === project);
  }

  /** @returns why files cannot be compared; null: the chat is over; undefined: no answer came */
  async fetch({ row, bundle }: ChatElsewhere, clone: string): Promise<Side | string | null | undefined> {
    const reach = this.#reach;
    const liveness = reach && (await seeOne(reach, row)).liveness;
    if (reach === null || liveness === null || liveness.isOver) return null;
    const needs = this.#needs.get(bundle) ?? (await this.#readNeeds(reach, row));
    if (needs === undefined) return undefined;
    this.#needs.set(bundle, needs);
    const [missing] = await findMissing(userGit(this.#runtime.env, clone, AbortSignal.timeout(gitTimeoutMs)), needs);
    if (missing !== undefined) return `commit ${missing} is not here`;
    const files = await fetchFiles(reach, row);
    if (!files.ok) return undefined;
    return { name: bundle, last: null, isSame: false, received: { bundle: files.value.bundle, needs, clone } };
  }

  async #readNeeds(reach: Reach, row: others.SessionElsewhere): Promise<readonly string[] | undefined> {
    const header = await fetchHeader(reach, row);
    return header.ok ? header.value.needs : undefined;
  }
}

/** A repository with several living chats. */
interface Repository {
  readonly chats: readonly WorkingChat[];
  readonly roots: readonly string[];
  readonly others: readonly ChatElsewhere[];
}

/** A side as it was made last, and when it was read last. */
interface Made {
  readonly side: MadeSide;
  readonly at: number;
}

/** Each further side adds a merge with every other one. */
const maxSides = 12;
/** Chats of other machines that are looked through for those of a project. */
const maxElsewhere = 50;
const timeoutMs = 20_000;
/** Foresees conflicts of the living chats of this machine. One call at a time. */
export class ConflictWatch {
  readonly #runtime: Runtime;
  readonly #elsewhere: ChatsElsewhere;
  /** Last journal entry that was looked at; null: none yet. */
  #seq: number | null = null;
  /** Bundles of other machines that were looked at. */
  #seen = new Set<string>();
  readonly #made = new Map<string, Made>();
  #problem = "";

  constructor(runtime: Runtime, link: OpenLink = () => null) {
    this.#runtime = runtime;
    this.#elsewhere = new ChatsElsewhere(runtime, link);
  }

  /** Looks at what the chats did since the last call. @returns how many repositories it merged */
  async check(signal: AbortSignal = new AbortController().signal): Promise<number> {
    const { store, config } = this.#runtime;
    if (!config.team.isEnabled || !config.team.conflicts) return 0;
    const seen = this.#seen;
    const nothing = { active: new Set<string>(), seq: this.#seq };
    const { active, seq } = store.read<AtWork>((sql) => chatsAtWork(sql, this.#seq), nothing);
    this.#seq = seq;
    const elsewhere = this.#elsewhere.list(maxElsewhere);
    const isFresh = ({ bundle }: ChatElsewhere): boolean => !seen.has(bundle);
    if (active.size + this.#made.size === 0 && !elsewhere.some(isFresh)) return 0;
    const chats = store.read((sql) => livingChats(sql, this.#runtime), []);
    if (active.size > 0) await this.#shareFiles(chats, signal);
    const isLinked = chats.length > 0 && elsewhere.length > 0 && (await this.#elsewhere.connect());
    if (isLinked) this.#seen = new Set(elsewhere.map(({ bundle }) => bundle));
    const all = await this.#groupByRepository(chats, isLinked ? elsewhere : []);
    await this.#dropOthers(all);
    const busy = all.filter(
      ({ chats: own, others }) => own.some(({ session }) => active.has(session.id)) || others.some(isFresh),
    );
    store.write((sql) => {
      closeEnded(sql, [...chats, ...elsewhere]);
      for (const repository of busy) meetInTrees(sql, this.#runtime, repository);
    });
    const merged = busy.filter(({ roots, others }) => roots.length + others.length > 1);
    for (const repository of merged) await this.#merge(repository, signal);
    return merged.length;
  }

  async #shareFiles(chats: readonly WorkingChat[], signal: AbortSignal): Promise<void> {
    const { store, log } = this.#runtime;
    const shared = await findSharedFiles(this.#runtime, chats, signal);
    if (typeof shared === "string") log("warn", "files that chats share could not be compared", { problem: shared });
    else store.write((sql) => settleShared(sql, shared));
  }

  async #groupByRepository(chats: readonly WorkingChat[], elsewhere: readonly ChatElsewhere[]): Promise<Repository[]> {
    const withTrees = chats.flatMap((chat) =>
      rootsOf(chat).flatMap((root) => {
        const { common } = gitFolders(root);
        return common === null ? [] : [{ chat, root, common }];
      }),
    );
    const groups: Repository[] = [];
    for (const group of Map.groupBy(withTrees, ({ common }) => common).values()) {
      const inGroup = [...new Set(group.map(({ chat }) => chat))];
      const roots = [...new Set(group.map(({ root }) => root))].toSorted().slice(0, maxSides);
      const others = await this.#elsewhere.inProject(elsewhere, roots[0] ?? "");
      const sides = { roots, others: others.slice(0, maxSides - roots.length) };
      if (inGroup.length + others.length > 1) groups.push({ chats: inGroup, ...sides });
    }
    return groups;
  }

  /** Deletes the sides of chats that are over or alone. */
  async #dropOthers(groups: readonly Repository[]): Promise<void> {
    const names = new Set(groups.flatMap(({ roots, others }) => [...roots, ...others.map(({ bundle }) => bundle)]));
    const gone = [...this.#made.keys()].filter((name) => !names.has(name));
    for (const name of gone) this.#made.delete(name);
    if (gone.length > 0) await clearForeseen(this.#runtime.paths.snapshots, this.#scratches());
  }

  #scratches(): string[] {
    return [...this.#made.values()].map(({ side }) => side.scratch);
  }

  async #merge({ chats, roots, others }: Repository, signal: AbortSignal): Promise<void> {
    const { store, env, paths, config, now, log } = this.#runtime;
    const at = now();
    const sides = store.read((sql) => roots.map((root) => this.#sideOf(sql, root, chats)), []);
    const apart = new Map<ChatElsewhere, string>();
    for (const other of others) {
      const last = this.#made.get(other.bundle)?.side ?? null;
      const side = last
        ? { name: last.name, last, isSame: true }
        : await untilAborted(this.#elsewhere.fetch(other, roots[0] ?? ""), signal);
      if (side === undefined) this.#seen.delete(other.bundle);
      else if (typeof side === "string") apart.set(other, side);
      else if (side !== null) sides.push(side);
    }
    const input = {
      env: { ...env },
      sides,
      keep: this.#scratches(),
      snapshots: paths.snapshots,
      limits: config.snapshots,
      timeoutMs,
      now: at,
    };
    const found = await runApart(this.#runtime, "foreseeConflicts", foreseeConflicts, input, signal);
    for (const { name } of sides) this.#made.delete(name);
    for (const side of found.sides) this.#made.set(side.name, { side, at });
    const problem = found.problems.join("; ");
    if (problem !== "" && problem !== this.#problem) log("warn", "conflicts could not be foreseen", { problem });
    this.#problem = problem;
    store.write((sql) => {
      for (const { names, conflicts } of found.pairs)
        for (const two of meetings([...chats, ...others], names)) settle(sql, now(), two, names, conflicts);
      for (const other of others) setApart(sql, at, chats, other, apart.get(other) ?? null);
    });
  }

  /** A work tree, which is the same if neither a commit nor a call of its chats followed. */
  #sideOf(sql: Sql, root: string, chats: readonly WorkingChat[]): Side {
    const { side: last = null, at = 0 } = this.#made.get(root) ?? {};
    const isBehind = chats.filter((chat) => isIn(chat, root)).some((chat) => hasWorkedSince(sql, chat, at));
    return { name: root, last, isSame: !isBehind && last?.tree.head === readHead(root)?.commit };
  }
}

/** Whether it was started in the work tree, or has edited files there. */
function isIn(chat: WorkingChat, root: string): boolean {
  return chat.home === root || hasEditedIn(chat, root);
}

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

/** Stores what is foreseen now. */
function settle(
  sql: Sql,
  now: number,
  two: Two,
  names: readonly [string, string],
  conflicts: readonly FileConflict[],
): void {
  const [session, other] = [two[0].session.id, two[1].session.id];
  const [root, otherRoot] = [two[0].elsewhere?.root ?? names[0], two[1].elsewhere?.root ?? names[1]];
  const where = "WHERE kind = 'merge' AND session = ? AND other = ? AND root = ? AND otherRoot = ?";
  const open = teamConflicts.select(sql, where, session, other, root, otherRoot);
  const pair = { kind: "merge", session, other, root, otherRoot, at: now } as const;
  const found = conflicts.map(({ path, did: [did, otherDid], lines: [lines, otherLines] }) => {
    return { ...pair, path: pathOf(path), did, otherDid, lines, otherLines };
  });
  replaceOpen(sql, open, found);
}

/** Shows that files of another machine cannot be compared. @param why null: they can */
function setApart(
  sql: Sql,
  at: number,
  chats: readonly WorkingChat[],
  { session: { id: other }, elsewhere }: ChatElsewhere,
  why: string | null,
): void {
  const open = teamConflicts.select(sql, "WHERE kind = 'apart' AND other = ?", other);
  const [chat] = chats;
  if (why === null || chat === undefined || elsewhere === null) return replaceOpen(sql, open, []);
  const sides = { session: chat.session.id, other, root: chat.home ?? "", otherRoot: elsewhere.root };
  replaceOpen(sql, open, [{ kind: "apart", ...sides, path: why, did: "changed", otherDid: "changed", at }]);
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

/** Looks for chats that share a work tree. */
function meetInTrees(sql: Sql, runtime: Runtime, { chats }: Repository): void {
  const roots = new Set(chats.flatMap((chat) => [...rootsOf(chat), ...(chat.home === null ? [] : [chat.home])]));
  for (const root of roots) {
    const present = chats.filter((chat) => isIn(chat, root));
    if (present.length < 2) continue;
    for (const two of pairsOf(present.filter((chat) => hasEditedIn(chat, root))))
      shareTree(sql, runtime.now(), root, two);
    noteSwitches(sql, runtime, root, present);
  }
}

function shareTree(sql: Sql, at: number, root: string, two: Two): void {
  const [session = "", other = ""] = two.map((one) => one.session.id).toSorted();
  const pair = { kind: "tree", session, other, root } as const;
  const holders = new Set(reservationTable.list(sql).map(({ holder }) => holder));
  if (teamConflicts.has(sql, pair) || holders.has(session) || holders.has(other)) return;
  const row = { ...pair, otherRoot: root, path: pathOf(root), did: "changed", otherDid: "changed", at } as const;
  teamConflicts.insert(sql, row);
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
