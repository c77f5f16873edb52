import * as z from "zod";
import type { ShownState } from "./chat-state.ts";
import type { Chat } from "./chats.ts";
import type { OpportunityPattern } from "./opportunities.ts";
import type { CrashCause, Risk } from "./readings.ts";
import type { AuditEntry } from "./workspaces.ts";
import type { OfferedOn } from "./operations.ts";

/** Read models and actions that a machine's own live page has beside the operations. */

export interface FleetRow extends ShownState {
  readonly id: string;
  readonly shortId: string;
  readonly title: string | null;
  /** How long it has waited for its user; null: it does not, or does not say since when. */
  readonly waitingMs: number | null;
  readonly client: string;
  readonly machine: string | null;
  readonly project: string | null;
  readonly model: string | null;
  /** Share of the context in use, 0 to 1. */
  readonly contextFill: number | null;
  readonly risk: Risk | null;
  readonly cause: CrashCause | null;
  readonly causeDetail: string | null;
  readonly seenAgeMs: number;
  readonly savedAgeMs: number | null;
  readonly costUsdToday: number | null;
  readonly taskCount: number | null;
  readonly progress: string | null;
  /** Command that continues a dead session of another machine here. */
  readonly resumeCommand: string | null;
}

export interface Fleet {
  /** Sessions of this machine, and dead ones of others; none on the edge. */
  readonly rows: readonly FleetRow[];
  /** Chats of the workspace that are not among them. */
  readonly chats: readonly Chat[];
  readonly where: string;
  /** Cost of this UTC day, as far as clients report it or prices are set; absent: unknown. */
  readonly costUsdToday?: number | null;
  readonly unpricedTokensToday: number;
  readonly notices: readonly string[];
  /** Why the team could not be read. */
  readonly trouble: string | null;
}

export interface TimelineLine {
  readonly ageMs: number;
  readonly source: "journal" | "signal" | "checkpoint" | "snapshot" | "crash" | "recovery";
  readonly kind: string;
  readonly text: string;
}

export interface SessionPage {
  readonly row: FleetRow;
  /** Newest first; at most the newest 500. */
  readonly timeline: readonly TimelineLine[];
  readonly isAll: boolean;
  readonly checkpoints: number;
  /** Command that continues the session in a terminal; null while it is alive. */
  readonly resumeCommand: string | null;
  readonly isAlive: boolean;
  readonly canDismiss: boolean;
  /** Whether a decision about it can be undone. */
  readonly canOfferAgain: boolean;
}

/** A message, or another notification, for a chat of this machine. */
export interface ReceivedMessage {
  readonly id: number;
  readonly ageMs: number;
  readonly kind: string;
  readonly text: string;
  readonly from: string | null;
  readonly topic: string | null;
  /** Chat that receives it, and its title; null: the chats of a topic, or all. */
  readonly to: string | null;
  readonly toTitle: string | null;
  /** Whether its chat was shown it; on the edge, whether it waits for no receiver. */
  readonly isDelivered: boolean;
  /** The same in words. */
  readonly status: string;
}

export interface SessionBrief {
  readonly brief: string;
  /** Restore score, 0 to 100: mean of prompts quoted, the end there, files as left. */
  readonly score: number | null;
}

/** An experiment with a setting of this machine. */
export interface ExperimentLine {
  readonly id: string;
  /** Setting, its value before, and the value that is tried. */
  readonly change: string;
  readonly state: string;
  readonly isRunning: boolean;
  /** Sessions without and with the new value; null before its canary. */
  readonly sessions: { readonly without: number; readonly with: number } | null;
  readonly stepAgeMs: number;
  /** Figures and reason of the last step. */
  readonly note: string;
  readonly reason: string;
  /** How a person can end it now; null: it is over. */
  readonly ending: { readonly isRevert: boolean; readonly effect: string } | null;
}

const session = z.strictObject({ session: z.string().min(1).max(200) });
const nothing = z.strictObject({});

export const pageInputs = {
  "page.fleet": nothing,
  "page.messages": nothing,
  "page.audit": z.strictObject({ kind: z.string().max(60).optional() }),
  "page.session": session,
  "page.brief": session,
  "page.dismiss": session,
  "page.undo": session,
  "page.forget": session,
  "page.experiments": nothing,
  "page.end-experiment": z.strictObject({ experiment: z.string().min(1).max(60), isRevert: z.boolean() }),
  "page.switch-experiments": z.strictObject({ isOff: z.boolean() }),
} as const;
export type PageCallName = keyof typeof pageInputs;
export type PageInputs = { readonly [Name in PageCallName]: z.input<(typeof pageInputs)[Name]> };

export interface PageOutputs {
  readonly "page.fleet": Fleet;
  /** The newest 200, newest first. */
  readonly "page.messages": { readonly messages: readonly ReceivedMessage[] };
  /** Newest 200 of both logs, newest first; `trouble`: why the team's is missing. */
  readonly "page.audit": { readonly entries: readonly AuditEntry[]; readonly trouble: string | null };
  readonly "page.session": SessionPage;
  readonly "page.brief": SessionBrief;
  readonly "page.dismiss": { readonly isDismissed: boolean };
  readonly "page.undo": { readonly isUndone: boolean };
  readonly "page.forget": { readonly rows: number };
  readonly "page.experiments": {
    /** Newest first, 200 at most. */
    readonly experiments: readonly ExperimentLine[];
    /** Since the switch of all is off; null: they may start. */
    readonly offAgeMs: number | null;
    /** Findings of the last `shim learn opportunities` by pattern, until its window has passed. */
    readonly opportunities: readonly { readonly pattern: OpportunityPattern; readonly n: number }[];
    /** Why those of the workspace are missing; null: they are there. */
    readonly trouble: string | null;
  };
  /** State after it. */
  readonly "page.end-experiment": { readonly state: string };
  /** Ids of those that it has stopped. */
  readonly "page.switch-experiments": { readonly stopped: readonly string[] };
}

export type PageOperation = OfferedOn<"page">;

/** Body of a call of the page. A repeat under the same request id returns the first answer. */
export const PageCall = z.strictObject({
  name: z.string().max(60),
  input: z.record(z.string(), z.unknown()),
  requestId: z.string().min(1).max(100).optional(),
});
export type PageCall = z.infer<typeof PageCall>;

/** A line of the live stream: what may have changed. */
export interface LiveLine {
  readonly changed: "sessions" | "team" | "tasks" | "messages" | "all";
}
