import type { ClaimedTask } from "../contract/tasks.ts";
import { integer, json, serial, table, text } from "../shared/table.ts";

/** Chats of this machine that are registered; hooks and the supervisor read them. */
export const teamChats = table("team_chats", {
  session: text().primary(),
  workspace: text(),
  chat: text(),
  incarnation: integer(),
  process: text(),
  at: integer(),
});

/** Notifications, delivered once: by the chat's next hook, or by a tool. */
export const teamNews = table("team_news", {
  seq: serial({ isReused: false }),
  session: text(),
  key: text(),
  kind: text(),
  at: integer(),
  body: json<object>(),
  /** When its chat was shown it. */
  deliveredAt: integer().nullable(),
});

/** Times at which a hook made a chat continue by itself. */
export const teamContinuations = table("team_continuations", { session: text().primary(), at: integer().primary() });

/** Reservations of files, as last reported: hooks have no time to ask the coordinator. */
export const teamFiles = table("team_files", {
  /** Examples: `file:<project>/<path>`, `.../dir/*`, `.../dir/**`. */
  resource: text().primary(),
  workspace: text(),
  holder: text(),
  holderName: text(),
  machine: text(),
  /** The root of the work tree if known in clear, else the chat's own description, else empty. */
  checkout: text(),
  /** The grant's. */
  token: integer(),
  /** Epoch ms. */
  since: integer(),
  at: integer(),
});

/** Project names in a workspace, cached: a hook has no time to ask git. */
export const teamProjects = table("team_projects", {
  workspace: text().primary(),
  root: text().primary(),
  project: text(),
  at: integer(),
});

export type QueuedCallName =
  | "tasks.heartbeat"
  | "tasks.ack"
  | "tasks.nack"
  | "tasks.release"
  | "tasks.submit"
  | "messages.send";

/** Unanswered calls of a chat (results, messages): they outlive the network and the process. */
export const teamCalls = table("team_calls", {
  seq: serial({ isReused: false }),
  session: text(),
  workspace: text(),
  name: text<QueuedCallName>(),
  input: json<Readonly<Record<string, unknown>>>(),
  at: integer(),
});

export interface HeldBodies {
  /** Until its report. */
  readonly claim: ClaimedTask;
  readonly leadership: { readonly requestId: string };
  /** The lease of a session of another machine that the chat continues. */
  readonly session: Record<string, never>;
}

/**
 * Holdings of a chat at the coordinator, which a later process of its client continues. Claims and
 * terms are renewed. The lease of a session lasts as long as its chat; its row lets a process that
 * has started since give it back. Reservations of files last so, too, and are given back by asking
 * for the list of them, so they stand only in `team_files`, beside those of other chats.
 */
export const teamHoldings = table("team_holdings", {
  session: text().primary(),
  kind: text<keyof HeldBodies>().primary(),
  /** The number of a task, the name of an election, the id of a session. */
  resource: text().primary(),
  workspace: text(),
  /** Number of the claim, term (0: waits in line), token of the lease. */
  token: integer(),
  incarnation: integer(),
  at: integer(),
  body: json<HeldBodies[keyof HeldBodies]>(),
});

type SideChange = "changed" | "added" | "deleted";

/** Conflicts of two living chats that are open now. */
export const teamConflicts = table("team_conflicts", {
  seq: serial({ isReused: false }),
  /** merge: of a file in two work trees; file: in one; tree: both write it; apart: not compared. */
  kind: text<"merge" | "file" | "tree" | "apart">(),
  session: text(),
  /** May be of another machine. */
  other: text(),
  root: text(),
  /** On another machine after its name and a colon. */
  otherRoot: text(),
  /** Relative to the roots; of a tree the root; of what is not compared why. */
  path: text(),
  did: text<SideChange>(),
  otherDid: text<SideChange>(),
  /** In the version of each; null: the whole file. */
  lines: text().nullable(),
  otherLines: text().nullable(),
  at: integer(),
});

export const teamTables = [
  teamChats,
  teamNews,
  teamContinuations,
  teamFiles,
  teamProjects,
  teamCalls,
  teamHoldings,
  teamConflicts,
];

export const teamIndexes: readonly string[] = [
  "CREATE UNIQUE INDEX team_news_keys ON team_news (session, key)",
  "CREATE INDEX team_news_undelivered ON team_news (session, seq) WHERE deliveredAt IS NULL",
];
