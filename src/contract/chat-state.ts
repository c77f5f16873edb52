import { age } from "./age.ts";
import type { Chat, OfflineReason } from "./chats.ts";
import type { CrashCause } from "./readings.ts";

/** Pure, and without zod, which the live page must not load. */

/** In the order in which a user has to act. */
export const chatStates = ["waits", "died", "stuck", "works", "idle", "ended"] as const;
export type ChatState = (typeof chatStates)[number];

/** The only words in which a person reads a state. */
export const stateWords: Readonly<Record<ChatState, string>> = {
  waits: "waits for you",
  died: "died",
  stuck: "stuck",
  works: "works",
  idle: "idle",
  ended: "ended",
};

function needsUser({ state }: { readonly state: ChatState }): boolean {
  return needRank(state) >= 0;
}

function needRank(state: ChatState): number {
  return ["waits", "died", "stuck"].indexOf(state);
}

export interface ChatRank {
  readonly id: string;
  readonly state: ChatState;
  /** Higher for a chat that has waited longer. */
  readonly waited: number;
  readonly riskScore: number;
  /** Higher for a chat that has been silent longer. */
  readonly silence: number;
}

export interface ChatGroup<Row> {
  /** Path of their project; null: not known here. */
  readonly project: string | null;
  /** The other machine that has these chats, where their project is not known. */
  readonly machine: string | null;
  readonly rows: readonly Row[];
}

/** Each chat once, and in each group in the order in which a user has to act. */
export interface ChatGroups<Row> {
  /** Chats that wait for the user, have died or are stuck. */
  readonly needs: readonly Row[];
  readonly projects: readonly ChatGroup<Row>[];
  readonly ended: readonly Row[];
}

export function groupChats<Row extends ShownState & Pick<ChatGroup<Row>, "project" | "machine">>(
  rows: readonly Row[],
  rankOf: (row: Row) => ChatRank,
): ChatGroups<Row> {
  const sorted = rows.toSorted((a, b) => compareChats(rankOf(a), rankOf(b)));
  const open = sorted.filter((row) => !needsUser(row) && row.state !== "ended");
  const projects = [...Map.groupBy(open, ({ project, machine }) => project ?? machine).values()].map((some) => {
    const { project = null, machine = null } = some[0] ?? {};
    return { project, machine: project === null ? machine : null, rows: some };
  });
  return { needs: sorted.filter(needsUser), projects, ended: sorted.filter(({ state }) => state === "ended") };
}

/** Longest waiting first; among the others, the highest risk, then the last that was active. */
function compareChats(a: ChatRank, b: ChatRank): number {
  const differences = [
    needRank(a.state) - needRank(b.state),
    b.waited - a.waited,
    Number(b.state === "works") - Number(a.state === "works"),
    b.riskScore - a.riskScore,
    a.silence - b.silence,
  ];
  return differences.find((difference) => difference !== 0) ?? a.id.localeCompare(b.id);
}

export interface ShownState {
  readonly state: ChatState;
  /** Why it waits or died, or how it ended; null: there is no more to say. */
  readonly detail: string | null;
}

export function stateText({ state, detail }: ShownState): string {
  return detail === null ? stateWords[state] : `${stateWords[state]} (${detail})`;
}

/** A client asks its user for these. */
export type AsksFor = "permission" | "dialog" | "prompt";
/** Needs of a chat for its user; `error`: its turn stopped at one. */
export type WaitsFor = AsksFor | "error";

export type Presence =
  | {
      readonly is: "alive";
      readonly activity: "idle" | "busy" | "waiting" | "stuck";
      /** Null also where an open tool asks the user. */
      readonly waitsFor: WaitsFor | null;
      readonly isDraining: boolean;
    }
  /** Its process is gone, or its coordinator says so; the cause is in words. */
  | { readonly is: "gone"; readonly cause: string | null }
  /** `silent`: for so long that another chat may continue it; `unheard`: it may well live. */
  | { readonly is: "silent" | "unheard"; readonly silenceMs: number };

export type ShownClaim =
  /** To a living chat, which has not taken it. */
  | { readonly is: "offered"; readonly chat: string; readonly msAgo: number }
  /** A chat that is not known is null. */
  | { readonly is: "continued"; readonly chat: string | null }
  | { readonly is: "dismissed" };

export interface ChatFacts {
  /** How it ended for good; null: it did not. */
  readonly end: string | null;
  /** The decision about it that still holds; null: it is free. */
  readonly claim: ShownClaim | null;
  /** Whether there is anything to continue. */
  readonly hasContent: boolean;
  /** Whether its client was closed between two turns, with nothing open. */
  readonly isClosed: boolean;
  /** A transcript is all that is known of it, and no sign of a death. */
  readonly isOnlyRead?: boolean;
  readonly presence: Presence;
}

export function stateOf(facts: ChatFacts): ShownState {
  const { claim, presence } = facts;
  const settled = settledEnd(facts);
  if (settled !== null) return { state: "ended", detail: settled };
  if (presence.is === "alive") return stateAlive(presence);
  if (presence.is === "unheard") return { state: "idle", detail: noSignOfLife(presence.silenceMs) };
  const nothingLeft = quietEnd(facts);
  if (nothingLeft !== null) return { state: "ended", detail: nothingLeft };
  return presence.is === "gone"
    ? { state: "died", detail: withOffer(presence.cause, claim) }
    : { state: "stuck", detail: withOffer(noSignOfLife(presence.silenceMs), claim) };
}

function withOffer(why: string | null, claim: ShownClaim | null): string | null {
  if (claim?.is !== "offered") return why;
  return [why ?? [], offeredText(claim.chat, claim.msAgo)].flat().join("; ");
}

/** An end or a decision counts, whatever becomes of the process. */
function settledEnd({ end, claim }: ChatFacts): string | null {
  if (end !== null) return end;
  if (claim?.is === "dismissed") return "dismissed";
  if (claim?.is !== "continued") return null;
  return claim.chat === null ? "continued" : `continued by chat ${claim.chat}`;
}

/** For a chat that is not seen to live. */
function quietEnd({ hasContent, isClosed, isOnlyRead = false }: ChatFacts): string | null {
  if (!hasContent) return "nothing to keep";
  if (isClosed) return "closed with nothing open";
  return isOnlyRead ? "its transcript does not say how" : null;
}

const onlyRegistered = { claim: null, hasContent: true, isClosed: false } as const;

/** The facts of a chat in the coordinator's registry. */
export type RegisteredChat = Pick<Chat, "status" | "reason" | "progress" | "taskCount" | "isRecoverable">;

/** For a chat whose session this machine does not have. */
export function stateOfRegistered(chat: RegisteredChat): ShownState {
  const { status, reason, isRecoverable } = chat;
  if (status !== "offline") return stateOf({ ...onlyRegistered, end: null, presence: presenceOf(chat) });
  const why = reason === null ? null : (offlineWords[reason as OfflineReason] ?? reason);
  const end = isRecoverable ? null : (why ?? "offline");
  return stateOf({ ...onlyRegistered, end, presence: { is: "gone", cause: why } });
}

/** For a chat that the registry has as present. */
export function presenceOf({ status, progress, taskCount }: RegisteredChat): Presence {
  const isDraining = status === "draining";
  const isBusy = status === "busy" || (isDraining && taskCount > 0);
  const activity = status === "stuck" ? "stuck" : isBusy ? "busy" : "idle";
  return { is: "alive", activity, waitsFor: waitsForIn(progress), isDraining };
}

export function offeredText(chat: string, msAgo: number): string {
  return `offered to chat ${chat}, ${age(msAgo)} ago`;
}

export function causeText(cause: CrashCause): string {
  return cause === "unknown" ? "cause unknown" : cause.replaceAll("_", " ");
}

/** Progress of a chat that waits for its user. */
export const waitingProgress: Readonly<Record<WaitsFor, string>> = {
  permission: "waits for its user: a permission",
  dialog: "waits for its user: an answer",
  prompt: "waits for its user: the next prompt",
  error: "waits for its user: it stopped at an error",
};

/** Null for a chat that waits for its user: its state says so. */
export function workProgress({ progress }: Pick<Chat, "progress">): string | null {
  return waitsForIn(progress) === null ? progress : null;
}

function waitsForIn(progress: string | null): WaitsFor | null {
  return waitsForKinds.find((kind) => waitingProgress[kind] === progress) ?? null;
}

const waitsForKinds = ["permission", "dialog", "prompt", "error"] as const;

export const waitsForWords: Readonly<Record<WaitsFor, string>> = {
  permission: "your permission",
  dialog: "your answer",
  prompt: "your next prompt",
  error: "it stopped at an error",
};

export const offlineWords: Readonly<Record<OfflineReason, string>> = {
  left: "left",
  closed: "connection closed",
  timeout: "no sign of life",
  attested: "process gone",
};

/** The client's own word counts before all that SHIM infers. */
function stateAlive({ activity, waitsFor, isDraining }: Extract<Presence, { is: "alive" }>): ShownState {
  if (waitsFor !== null) return { state: "waits", detail: waitsForWords[waitsFor] };
  if (activity === "waiting") return { state: "waits", detail: waitsForWords.dialog };
  const state = activity === "busy" ? "works" : activity;
  return { state, detail: isDraining ? "takes no new tasks" : null };
}

function noSignOfLife(silenceMs: number): string {
  return `no sign of life for ${age(silenceMs)}`;
}
