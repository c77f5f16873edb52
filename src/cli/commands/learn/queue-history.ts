import type { Chat } from "../../../contract/chats.ts";
import type { OutputOf } from "../../../contract/operations.ts";
import type { AuditEntry } from "../../../contract/workspaces.ts";
import type { QueueChat, QueueRecord, QueueTask } from "../../../experiments/queue/queue-record.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { backWithinMs, detailOf, listChats, listTasks, readPresenceLog } from "./team-history.ts";

/** Calls are billed on the edge: one history for each task. */
const maxTasks = 1_000;
const parallel = 10;

type Caller = Pick<Workspace, "call">;

/**
 * The newest 1,000 ended tasks of the first 4,000 kept ones, and the chats meanwhile, in at most
 * 1,042 calls. Left out: tasks that never ran, have not ended or were cancelled, chats that the
 * workspace has forgotten, and, without the right to read the audit log, the times at which chats
 * came and went.
 */
export async function readQueueRecord(link: Caller, chatTtlMs: number): Promise<CliResult<QueueRecord>> {
  const lines = await listTasks(link);
  if (!lines.ok) return lines;
  const ended = lines.value.filter(({ state }) => state === "done" || state === "dead").slice(-maxTasks);
  const tasks: AgedTask[] = [];
  for (let at = 0; at < ended.length; at += parallel) {
    const part = ended.slice(at, at + parallel);
    const histories = await Promise.all(part.map(({ task }) => link.call("tasks.history", { task, limit: 100 })));
    histories.forEach((history, index) => {
      const task = history.ok ? toTask(part[index]!, history.value) : null;
      if (task) tasks.push(task);
    });
  }
  const chats = await listChats(link);
  if (!chats.ok) return chats;
  const presences = await readPresences(link, chatTtlMs);
  const windowMs = Math.max(0, ...tasks.map(({ ageMs }) => ageMs));
  return ok({
    windowMs,
    tasks: tasks
      .toSorted((one, other) => other.ageMs - one.ageMs)
      .map(({ type, priority, failures, runMs, ageMs }) => ({
        type,
        priority,
        failures,
        runMs,
        atMs: windowMs - ageMs,
      })),
    chats: chats.value.flatMap((chat) => toChats(chat, presences, windowMs)),
  });
}

type AgedTask = Omit<QueueTask, "atMs"> & { readonly ageMs: number };
type History = OutputOf<"tasks.history">;

/** Its age counts from the moment at which it could run first. @returns null: it never ran */
function toTask(
  { type, priority }: { readonly type: string; readonly priority: number },
  { attempts }: History,
): AgedTask | null {
  const ran = attempts.filter(({ ranMs }) => ranMs !== null);
  const first = ran.toSorted((one, other) => other.endedAgeMs - one.endedAgeMs)[0];
  if (!first) return null;
  const failures = attempts.filter(({ end }) => end === "failed").length;
  // Attempts that another end cut short say less of the work.
  const whole = ran.filter(({ end }) => end === "done" || end === "failed");
  const times = (whole.length > 0 ? whole : ran).map(({ ranMs }) => ranMs ?? 0);
  const runMs = times.reduce((sum, one) => sum + one, 0) / times.length;
  return { type, priority, failures, runMs, ageMs: first.endedAgeMs + (first.ranMs ?? 0) + first.waitedMs };
}

/** One stay of a chat, by ages in ms. */
interface Presence {
  readonly fromAgeMs: number;
  /** Absent (null) while it is still there. */
  untilAgeMs: number | null;
  end: QueueChat["end"];
  readonly incarnation: unknown;
  readonly silences: { readonly fromAgeMs: number; readonly forMs: number }[];
}

type Presences = ReadonlyMap<string, readonly Presence[]>;

/** @returns null where the audit log may not be read */
async function readPresences(link: Caller, chatTtlMs: number): Promise<Presences | null> {
  const log = await readPresenceLog(link);
  if (log === null) return null;
  const entries = [...log.gone, ...log.registered].toSorted((one, other) => one.seq - other.seq);
  const presences = new Map<string, Presence[]>();
  for (const entry of entries) {
    const before = presences.get(entry.subject) ?? [];
    presences.set(entry.subject, before);
    if (entry.kind === "chat.registered") onRegistered(before, entry, chatTtlMs);
    else onOffline(before, entry, chatTtlMs);
  }
  return presences;
}

/** A process that registers again soon after a silence was there all the time. */
function onRegistered(presences: Presence[], entry: AuditEntry, chatTtlMs: number): void {
  const { ageMs } = entry;
  const { incarnation } = detailOf(entry);
  const last = presences.at(-1);
  const silentMs = last?.end === "died" && last.untilAgeMs !== null ? last.untilAgeMs - ageMs : Infinity;
  if (last && last.incarnation === incarnation && silentMs <= backWithinMs + chatTtlMs) {
    last.silences.push({ fromAgeMs: ageMs + silentMs, forMs: silentMs });
    last.untilAgeMs = null;
    return;
  }
  // Another process has replaced the one before.
  if (last) last.untilAgeMs ??= ageMs;
  presences.push({ fromAgeMs: ageMs, untilAgeMs: null, end: "left", incarnation, silences: [] });
}

/** Only a silence is noticed after `chatTtlMs`; every other end is noticed at once. */
function onOffline(presences: Presence[], entry: AuditEntry, chatTtlMs: number): void {
  const { reason, incarnation } = detailOf(entry);
  const isSilent = reason === "timeout";
  const end = isSilent ? "died" : "left";
  const untilAgeMs = entry.ageMs + (isSilent ? chatTtlMs : 0);
  const last = presences.at(-1);
  if (last?.untilAgeMs === null) Object.assign(last, { untilAgeMs, end });
  // Registered before the oldest entry.
  else presences.push({ fromAgeMs: Infinity, untilAgeMs, end, incarnation, silences: [] });
}

function toChats(
  { chat, capacity, taskTypes, status }: Chat,
  presences: Presences | null,
  windowMs: number,
): QueueChat[] {
  if (capacity === 0) return [];
  const types = taskTypes === null || taskTypes.includes("*") ? null : taskTypes;
  const always = { fromAgeMs: Infinity, untilAgeMs: null, end: "left", silences: [] } as const;
  const found = presences?.get(chat) ?? (status === "offline" ? [] : [always]);
  return found
    .filter(({ untilAgeMs }) => untilAgeMs === null || untilAgeMs < windowMs)
    .map(({ fromAgeMs, untilAgeMs, end, silences }) => ({
      capacity,
      types,
      fromMs: Math.max(0, windowMs - fromAgeMs),
      untilMs: untilAgeMs === null ? null : Math.max(0, windowMs - untilAgeMs),
      end,
      silences: silences
        .filter((one) => one.fromAgeMs <= windowMs)
        .map((one) => ({ atMs: windowMs - one.fromAgeMs, forMs: one.forMs })),
    }));
}
