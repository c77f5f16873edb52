import * as z from "zod";
import { Lease } from "../leases.ts";
import { TaskLine, taskViewOperations } from "../task-views.ts";
import { Notice } from "./notices.ts";
import { machineOperation } from "./operation.ts";
import { Pause } from "./pauses.ts";
import { SessionView } from "./sessions.ts";
import { ShownChat } from "./team.ts";

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
  "overview.get": machineOperation({
    summary: "What goes on on this machine: its sessions, notices and pauses.",
    output: z.object({
      /** Epoch ms. */
      at: z.int(),
      store: z.object({ path: z.string(), isThere: z.boolean() }),
      /** Sessions that are alive or can come back, and the newest that ended within a day. */
      sessions: z.array(SessionView),
      notices: z.array(Notice),
      pauses: z.array(Pause),
      /** Its process; null: none runs. */
      supervisor: z.object({ pid: z.int() }).nullable(),
    }),
    effect: "read",
  }),
  "team.overview": machineOperation({
    summary: "What goes on in the workspace of this machine: its chats, tasks and reserved files.",
    input: z.strictObject({
      /** Each request to an edge is billed. */
      maxAgeMs: z.int().min(0).max(600_000).default(0).describe("on an edge not read again before it is so old"),
    }),
    output: TeamView,
    effect: "read",
  }),
  "clients.list": machineOperation({
    summary: "Clients that were found on this machine, and whether SHIM is connected to them.",
    output: z.object({ clients: z.array(ClientState) }),
    effect: "read",
  }),
};
