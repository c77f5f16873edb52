import * as z from "zod";
import { Chat } from "../chats.ts";
import { AuditEntry } from "../workspaces.ts";
import { declare } from "../operation.ts";
import { IdPrefix, idErrors, count } from "./operation.ts";
import { GivenAnswer, OpenRequest } from "./requests.ts";
import { ForeseenConflict } from "./team.ts";
import { foldedScripts, SessionView } from "./sessions.ts";

/** Read models of the live page. They have ages, since the clock of a browser may be another. */

const age = z.number();

export const FleetRow = SessionView.pick({
  id: true,
  shortId: true,
  title: true,
  state: true,
  detail: true,
  client: true,
  project: true,
  model: true,
  contextFill: true,
  risk: true,
  cause: true,
  causeDetail: true,
  machine: true,
}).extend({
  /** How long it has waited for its user; null: it does not, or does not say since when. */
  waitingMs: age.nullable(),
  seenAgeMs: age,
  savedAgeMs: age.nullable(),
  costUsdToday: z.number().nullable(),
  taskCount: count.nullable(),
  progress: z.string().nullable(),
  /** Command that continues a session in a terminal here; null for one that lives or has ended. */
  resumeCommand: z.string().nullable(),
});
export type FleetRow = z.infer<typeof FleetRow>;

export const Fleet = z.object({
  /** Sessions of this machine, and dead ones of others; none on the edge. */
  rows: z.array(FleetRow),
  /** Sessions of this machine that ended within a day; the newest are rows. Absent on the edge. */
  ended: count.optional(),
  /** Runs of scripts of a day. Absent on the edge. */
  scripts: foldedScripts.optional(),
  /** Chats of the workspace that are not among them. */
  chats: z.array(Chat),
  where: z.string(),
  /** Cost of this UTC day, as far as clients report it or prices are set; absent: unknown. */
  costUsdToday: z.number().nullable().optional(),
  unpricedTokensToday: count,
  notices: z.array(z.string()),
  /** Foreseen between chats of this machine; none on the edge. */
  conflicts: z.array(ForeseenConflict),
  /** Permissions that chats of this machine ask for; absent on the edge, or where that is off. */
  requests: z.array(OpenRequest).optional(),
  /** Answers to such requests from elsewhere than their terminals, and what came of them. */
  answers: z.array(GivenAnswer).optional(),
  /** Why the team could not be read. */
  trouble: z.string().nullable(),
});
export type Fleet = z.infer<typeof Fleet>;

const SessionPage = z.object({
  /** Its `resumeCommand` is null only while it is alive. */
  row: FleetRow,
  checkpoints: count,
  /** Command that forks it, without the number of the prompt. */
  forkCommand: z.string(),
  isAlive: z.boolean(),
  /** Why its user cannot write to it from elsewhere; null: it is possible, once it is alive. */
  cannotWrite: z.string().nullable(),
  canDismiss: z.boolean(),
  /** Whether a decision about it can be undone. */
  canOfferAgain: z.boolean(),
  /** How full its context was, oldest first; at most 120 of them. */
  context: z.array(z.object({ ageMs: age, share: z.number() })),
  /** Cost of the last seven UTC days, that of today last; null: no client or price says it. */
  costUsdByDay: z.array(z.number()).nullable(),
  /** Rule of its folder, and the project to pause; null: it is at no usage limit. */
  atLimit: z.object({ text: z.string(), project: z.string().nullable() }).nullable(),
});
export type SessionPage = z.infer<typeof SessionPage>;

const ReceivedMessage = z.object({
  id: z.int(),
  ageMs: age,
  kind: z.string(),
  text: z.string(),
  from: z.string().nullable(),
  topic: z.string().nullable(),
  /** Chat that receives it, and its title; null: the chats of a topic, or all. */
  to: z.string().nullable(),
  toTitle: z.string().nullable(),
  /** Whether its chat was shown it; on the edge, whether it waits for no receiver. */
  isDelivered: z.boolean(),
  /** The same in words. */
  status: z.string(),
});
export type ReceivedMessage = z.infer<typeof ReceivedMessage>;

/** Part of the day in which a chat worked, or waited for its user; `fromMs` is the older age. */
const DaySpan = z.object({ kind: z.enum(["works", "waits"]), fromMs: age, toMs: age });
export type DaySpan = z.infer<typeof DaySpan>;

const DayMark = z.object({
  kind: z.enum(["died", "ended", "continued", "compacted", "conflict"]),
  ageMs: age,
  text: z.string(),
});
export type DayMark = z.infer<typeof DayMark>;

const DayLane = SessionView.pick({ id: true, title: true, project: true, state: true }).extend({
  /** Oldest first; at most the newest 300. */
  spans: z.array(DaySpan),
  /** Oldest first; at most the newest 100. */
  marks: z.array(DayMark),
});
export type DayLane = z.infer<typeof DayLane>;

const Day = z.object({
  hours: z.int(),
  /** The last that was active first; at most 60. */
  lanes: z.array(DayLane),
  scripts: foldedScripts,
  isAll: z.boolean(),
});
export type Day = z.infer<typeof Day>;

export const pageOperations = {
  "page.fleet": declare("caller", "read", {
    summary: "Sessions of this machine, the other chats of the workspace, and what died on other machines.",
    output: Fleet,
    surfaces: ["page"],
  }),
  "page.session": declare("caller", "read", {
    summary: "What is known of a session, and what can be done with it. `conversation.read` has its words.",
    input: z.strictObject({ session: IdPrefix }),
    output: SessionPage,
    errors: idErrors,
    surfaces: ["page"],
  }),
  "page.day": declare("caller", "read", {
    summary: "When the chats of this machine worked, waited, died and were continued in the last hours.",
    input: z.strictObject({ hours: z.int().min(1).max(72).default(24) }),
    output: Day,
    surfaces: ["page"],
    example: { hours: 24 },
  }),
  "page.messages": declare("caller", "read", {
    summary: "The newest 200 messages and other notifications of this machine's chats, newest first.",
    output: z.object({ messages: z.array(ReceivedMessage) }),
    surfaces: ["page"],
  }),
  "page.audit": declare("caller", "read", {
    summary: "The newest 200 entries of this machine's audit log and the workspace's, newest first.",
    input: z.strictObject({ kind: z.string().max(60).optional() }),
    /** `trouble`: why the workspace's are missing. */
    output: z.object({ entries: z.array(AuditEntry), trouble: z.string().nullable() }),
    surfaces: ["page"],
  }),
};
