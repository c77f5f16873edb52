import { notedEnd } from "../../../contract/ending.ts";
import type { Chat } from "../../../contract/chats.ts";
import type { OpenedLink, CoordinatorClient } from "../../../coordinator-client/client.ts";
import { fetchPages } from "../../../coordinator-client/coordinator-client.ts";
import type { Call } from "../../../coordinator-client/edge/calls.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { ok, type Result } from "../../../shared/result.ts";
import type { Takeover } from "../../../store/sync-tables.ts";
import { currentState } from "../../sessions/checkpoints/capture.ts";
import * as checkpoints from "../../sessions/checkpoints/checkpoints.ts";
import * as recoveries from "../../sessions/recoveries.ts";
import * as devices from "../../sharing/device.ts";
import { findProject } from "../../sharing/find-project.ts";
import { requireKeys } from "../../sharing/key-ring.ts";
import type { PullDeps } from "../../sharing/pull.ts";
import * as elsewhere from "../../sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "../../sharing/sessions-elsewhere.ts";
import { livenessOf, type ChatObservation, type Liveness } from "../incomplete/detect.ts";
import { callTimeoutMs } from "../incomplete/session-lease.ts";

/** Means of a chat or a command here to recover sessions of the workspace's other machines. */
export interface Reach extends PullDeps {
  readonly runtime: Runtime;
  readonly link: Pick<CoordinatorClient, "self" | "call">;
  /** Empty for a command. */
  readonly chatId: string;
  readonly machine: string;
  /** The project that the chat or the command is in; null: none. */
  readonly here: ProjectHere | null;
  /** The coordinator did not answer, so the sessions are those that were pulled before. */
  readonly isStale?: boolean;
  /** All of the workspace, so that none is asked for again; absent: not read yet. */
  readonly chats?: readonly Chat[] | undefined;
}

export interface ProjectHere {
  readonly root: string;
  /** Name of the project in the workspace. */
  readonly project: string;
}

/** A checkpoint of a megabyte may take long. */
const projectTimeoutMs = 30_000;

/** Returns null if this machine's own file decides, or it has no key of the workspace. */
export function reachFrom(
  runtime: Runtime,
  { link, edge, workspace, machine }: Pick<OpenedLink, "edge" | "workspace" | "machine"> & Pick<Reach, "link">,
  chatId: string,
): Reach | null {
  if (edge === null) return null;
  const keys = requireKeys(runtime.paths.home, edge, runtime.env);
  if (!keys.ok) return null;
  const call: Call = (name, input) => link.call(name, input, projectTimeoutMs);
  const device = runtime.store.read(devices.get, null)?.device ?? null;
  return { runtime, link, call, workspace, keys: keys.value, device, chatId, machine, here: null };
}

/** @returns the project's name in the workspace */
export function projectOf({ runtime, workspace, machine, keys }: Reach, root: string): Promise<string> {
  return findProject(runtime, { workspace, machine, key: keys.current }, root);
}

/** @param root null: none */
export async function projectHere(reach: Reach, root: string | null): Promise<ProjectHere | null> {
  return root === null ? null : { root, project: await projectOf(reach, root) };
}

/** A session of another machine, as far as the coordinator was asked about it. */
export interface SeenElsewhere {
  readonly row: SessionElsewhere;
  /** The coordinator's answer; null where its own machine has decided. */
  readonly liveness: Liveness | null;
  /** The chat of a third machine, or of this one, that continues it. */
  readonly taken: Takeover | null;
}

/** Newest first, whatever became of them; an absent `project` means all. */
export function listElsewhere(reach: Reach, project: string | undefined, limit: number): Promise<SeenElsewhere[]> {
  return see(reach, listRows(reach, project).slice(0, limit));
}

/**
 * Sessions that can be continued, and were not dismissed here; newest first.
 * @param project absent: all
 */
export async function findElsewhere(reach: Reach, project?: string, limit = 20): Promise<SeenElsewhere[]> {
  const rows = listRows(reach, project).filter((row) => !elsewhere.isOver(row) && elsewhere.hasContent(row));
  const open = reach.runtime.store.read(
    (sql) => rows.filter(({ id }) => recoveries.claimOf(sql, id)?.is !== "dismissed"),
    rows,
  );
  const seen = await see(reach, open);
  return seen.filter(({ liveness, taken }) => liveness?.isOver && taken === null).slice(0, limit);
}

function listRows({ runtime, workspace }: Reach, project: string | undefined): SessionElsewhere[] {
  return runtime.store.read((sql) => elsewhere.listOfOthers(sql, workspace, project), []);
}

export async function seeOne(reach: Reach, row: SessionElsewhere): Promise<SeenElsewhere> {
  const [seen = { row, liveness: null, taken: null }] = await see(reach, [row]);
  return seen;
}

/** Asks the coordinator once for all of them. */
async function see(reach: Reach, rows: readonly SessionElsewhere[]): Promise<SeenElsewhere[]> {
  const open = rows.filter((row) => !elsewhere.isOver(row));
  const chats = await readChats(
    reach,
    open.flatMap(({ id, taken }) => (taken === null ? [id] : [id, taken.chat])),
  );
  return rows.map((row) => {
    // A decision of its own machine needs no answer of the coordinator.
    if (elsewhere.isOver(row)) return { row, liveness: null, taken: null };
    const sent = { silenceMs: reach.runtime.now() - row.lastSeenAt, hasDied: notedEnd(row.ending) !== null };
    const liveness = livenessOf(observe(chats, row.id), sent);
    const isContinued = liveness.isOver && isTaken(reach, row, chats);
    return { row, liveness, taken: isContinued ? row.taken : null };
  });
}

type ReadChats = Result<readonly Chat[]>;

async function readChats({ link, chats: known }: Reach, ids: readonly string[]): Promise<ReadChats> {
  const [chat] = ids;
  if (known || chat === undefined) return ok(known ?? []);
  if (ids.length === 1) {
    const one = await link.call("chats.get", { chat }, callTimeoutMs);
    if (one.ok) return ok([one.value]);
    return one.error.code === "unknown_chat" ? ok([]) : one;
  }
  const all = await fetchPages({ call: (name, input) => link.call(name, input, callTimeoutMs) }, "chats.list", {});
  return all.ok ? ok(all.value.chats) : all;
}

function observe(chats: ReadChats, id: string): ChatObservation {
  if (!chats.ok) return { status: "unreachable", why: chats.error.message };
  return chats.value.find(({ chat }) => chat === id) ?? { status: "unknown" };
}

/** A dead successor counts only with a checkpoint, and a last state that continues it. */
function isTaken({ runtime }: Reach, { id, taken }: SessionElsewhere, chats: ReadChats): boolean {
  if (taken === null) return false;
  const { status } = observe(chats, taken.chat);
  if (status !== "offline" && status !== "unknown") return true;
  return runtime.store.read((sql) => {
    const there = elsewhere.findNewest(sql, taken.chat);
    if (checkpoints.latest(sql, taken.chat) === null && !there?.sealed.checkpoint) return false;
    const state = currentState(sql, taken.chat) ?? (there && elsewhere.findState(sql, there));
    return state?.continues?.session === id;
  }, false);
}

/** Accepts a unique beginning of at least 4 characters. */
export function findById(
  { runtime, workspace }: Pick<Reach, "runtime" | "workspace">,
  idOrPrefix: string,
): SessionElsewhere | null {
  const others = runtime.store.read((sql) => elsewhere.listOfOthers(sql, workspace), []);
  const exact = others.find(({ id }) => id === idOrPrefix);
  if (exact || idOrPrefix.length < 4) return exact ?? null;
  const [first, second] = others.filter(({ id }) => id.startsWith(idOrPrefix));
  return (second === undefined && first) || null;
}
