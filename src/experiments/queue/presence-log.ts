import type { Chat } from "../../contract/chats.ts";
import type { AuditEntry } from "../../contract/workspaces.ts";
import type { Departure } from "../opportunities/history.ts";
import type { Silence } from "../guardrails.ts";
import type { QueueChat } from "./run-queue.ts";

/** The newest entries of the audit log about chats that came and went, newest first. */
export interface PresenceLog {
  readonly gone: readonly AuditEntry[];
  readonly registered: readonly AuditEntry[];
}

/** Entries of each kind that are read. */
export const maxPresenceEntries = 500;
/** Longest silence that `chatTtlMs` can allow: no setting waits longer for a sleeping machine. */
const backWithinMs = 600_000;

interface Detail {
  readonly reason?: unknown;
  /** Number of the chat's process. */
  readonly incarnation?: unknown;
}

function detailOf({ detail }: AuditEntry): Detail {
  return typeof detail === "object" && detail !== null && !Array.isArray(detail) ? detail : {};
}

function isSilent(gone: AuditEntry): boolean {
  return detailOf(gone).reason === "timeout";
}

/** Age of the oldest entry of a full list: older ones are not known. */
function knownMs(entries: readonly AuditEntry[], otherwise: number): number {
  return entries.length < maxPresenceEntries ? otherwise : (entries.at(-1)?.ageMs ?? 0);
}

/** Chats that went offline by silence, so long ago that it is known whether they came back. */
export function departuresOf({ gone, registered }: PresenceLog, now: number): Departure[] {
  const oldestMs = knownMs(registered, Infinity);
  return gone
    .filter((entry) => isSilent(entry) && entry.ageMs < oldestMs && entry.ageMs >= backWithinMs)
    .map((entry) => ({ at: now - entry.ageMs, isBack: registered.some((one) => isReturn(one, entry)) }));
}

/** A new process would have the next incarnation. */
function isReturn(registered: AuditEntry, gone: AuditEntry): boolean {
  return (
    registered.subject === gone.subject &&
    detailOf(registered).incarnation === detailOf(gone).incarnation &&
    registered.seq > gone.seq &&
    registered.ageMs >= gone.ageMs - backWithinMs
  );
}

/**
 * Chats that went offline by silence in the last `windowMs`. A workspace without older chats is as
 * old as its first.
 */
export function silenceOf({ gone, registered }: PresenceLog, windowMs: number): Silence {
  const firstMs = registered.length < maxPresenceEntries ? (registered.at(-1)?.ageMs ?? 0) : Infinity;
  const silentMs = Math.min(windowMs, knownMs(gone, firstMs));
  return { silent: gone.filter((entry) => entry.ageMs <= silentMs && isSilent(entry)).length, silentMs };
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

/** Stays of these chats in the last `windowMs`. @param log null: only who is there now is known */
export function queueChats(
  chats: readonly Chat[],
  log: PresenceLog | null,
  { windowMs, chatTtlMs }: { readonly windowMs: number; readonly chatTtlMs: number },
): QueueChat[] {
  const presences = new Map<string, Presence[]>();
  for (const entry of [...(log?.gone ?? []), ...(log?.registered ?? [])].toSorted((a, b) => a.seq - b.seq)) {
    const before = presences.get(entry.subject) ?? [];
    presences.set(entry.subject, before);
    (entry.kind === "chat.registered" ? onRegistered : onOffline)(before, entry, chatTtlMs);
  }
  return chats.flatMap((chat) => toChats(chat, presences.get(chat.chat), windowMs));
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
  const end = isSilent(entry) ? "died" : "left";
  const untilAgeMs = entry.ageMs + (end === "died" ? chatTtlMs : 0);
  const last = presences.at(-1);
  if (last?.untilAgeMs === null) Object.assign(last, { untilAgeMs, end });
  // Registered before the oldest entry.
  else
    presences.push({
      fromAgeMs: Infinity,
      untilAgeMs,
      end,
      incarnation: detailOf(entry).incarnation,
      silences: [],
    });
}

const always: Presence = { fromAgeMs: Infinity, untilAgeMs: null, end: "left", incarnation: null, silences: [] };

function toChats(
  { capacity, taskTypes, status }: Chat,
  presences: readonly Presence[] | undefined,
  windowMs: number,
): QueueChat[] {
  if (capacity === 0) return [];
  const types = taskTypes === null || taskTypes.includes("*") ? null : taskTypes;
  return (presences ?? (status === "offline" ? [] : [always]))
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
