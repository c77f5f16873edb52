import * as z from "zod";
import { Lease } from "../leases.ts";
import { riskLevels } from "../readings.ts";
import { TaskLine, taskViewOperations } from "../task-views.ts";
import { declare } from "../operation.ts";
import { Duration, Folder, count } from "./operation.ts";
import { foldedScripts, SessionView } from "./sessions.ts";
import { ShownChat } from "./team.ts";

const Notice = z.object({
  id: z.int(),
  /** Epoch ms. */
  at: z.int(),
  kind: z.string(),
  text: z.string(),
});
export type Notice = z.infer<typeof Notice>;

const Pause = z.object({
  /** Root of a project; null: every project. */
  project: z.string().nullable(),
  /** Epoch ms; null: until a person ends it. */
  until: z.int().nullable(),
});

const project = Folder.optional().describe("only this project");

/** State of a chat for its client's status line; printed as JSON, so fields are only added. */
export const ChatStatus = z.object({
  session: z.string().nullable(),
  savedMsAgo: count.nullable(),
  risk: z.object({ score: z.number(), level: z.enum(riskLevels) }).nullable(),
  /** Sessions of the project that died and can come back. */
  died: count,
  /** Titles of dead sessions that the chat was offered, and of those that it continues. */
  offered: z.array(z.string()),
  continued: z.array(z.string()),
  /** Files that another chat has changed too, with its title or short id. */
  conflicts: z.array(z.object({ path: z.string(), with: z.string() })),
  /** Undelivered messages of other chats. */
  messages: count,
  /** Other living chats by state. */
  waits: count,
  stuck: count,
  notices: z.array(z.string()),
  /** Why nothing is saved; null while all is well. */
  trouble: z.string().nullable(),
});
export type ChatStatus = z.infer<typeof ChatStatus>;

const ClientState = z.object({ client: z.string(), label: z.string(), isInstalled: z.boolean() });
export type ClientState = z.infer<typeof ClientState>;

const TeamView = z.object({
  where: z.string(),
  isEdge: z.boolean(),
  /** Why the team could not be read; null: the rest is current. */
  trouble: z.string().nullable(),
  /** Chats that are neither over nor the command line. */
  chats: z.array(ShownChat),
  tasks: taskViewOperations["tasks.progress"].output.nullable(),
  underWay: z.array(TaskLine),
  /** Short id and title of each chat of the workspace. */
  names: z.record(z.string(), z.object({ shortId: z.string(), title: z.string().nullable() })),
  files: z.array(Lease),
  /** Sessions of other machines that died and can be continued. */
  elsewhere: z.array(SessionView),
});
export type TeamView = z.infer<typeof TeamView>;

export const overviewOperations = {
  "notices.list": declare("caller", "read", {
    summary: "Notices that are not acknowledged yet, oldest first.",
    output: z.object({ notices: z.array(Notice) }),
  }),
  "notices.acknowledge": declare("host", "write", {
    summary: "Acknowledge all open notices.",
    output: z.object({ acknowledged: z.array(Notice) }),
  }),
  "pauses.start": declare("host", "write", {
    summary: "Store nothing for a while, or until the pause is ended.",
    input: z.strictObject({ forMs: Duration.optional(), project }),
    /** `pauses`: all that are in force then. */
    output: z.object({ started: Pause, pauses: z.array(Pause) }),
    surfaces: ["page"],
    example: { forMs: 1_800_000 },
  }),
  "pauses.end": declare("host", "write", {
    summary: "Store again.",
    input: z.strictObject({ project }),
    output: z.object({ ended: z.boolean(), project: z.string().nullable(), pauses: z.array(Pause) }),
  }),
  "statusline.get": declare("host", "write", {
    summary: "Store the readings that a client gives its status line, and say how its chat is.",
    input: z.strictObject({ text: z.string().describe("what the client writes to its status line command") }),
    output: ChatStatus,
    example: { text: '{"session_id":"5f0e0e5e"}' },
  }),
  "overview.get": declare("caller", "read", {
    summary: "What goes on on this machine: its sessions, notices and pauses.",
    output: z.object({
      /** Epoch ms. */
      at: z.int(),
      store: z.object({ path: z.string(), isThere: z.boolean() }),
      /** Sessions that are alive or can come back, and the newest that ended within a day. */
      sessions: z.array(SessionView),
      /** Sessions that ended within a day. */
      ended: count,
      /** Runs of scripts of that day. */
      scripts: foldedScripts,
      notices: z.array(Notice),
      pauses: z.array(Pause),
      /** Its process; null: none runs. */
      supervisor: z.object({ pid: z.int() }).nullable(),
    }),
  }),
  "team.overview": declare("caller", "read", {
    summary: "What goes on in the workspace of this machine: its chats, tasks and reserved files.",
    input: z.strictObject({
      /** Each request to an edge is billed. */
      maxAgeMs: z.int().min(0).max(600_000).default(0).describe("on an edge not read again before it is so old"),
    }),
    output: TeamView,
  }),
  "clients.list": declare("caller", "read", {
    summary: "Clients that were found on this machine, and whether SHIM is connected to them.",
    output: z.object({ clients: z.array(ClientState) }),
  }),
};
