import * as z from "zod";
import { Notice } from "./notices.ts";
import { machineOperation } from "./operation.ts";
import { Pause } from "./pauses.ts";
import { SessionView } from "./sessions.ts";

const ClientState = z.object({ client: z.string(), label: z.string(), isInstalled: z.boolean() });
export type ClientState = z.infer<typeof ClientState>;

export const overviewOperations = {
  "overview.get": machineOperation({
    summary: "What goes on on this machine: its sessions, notices and pauses.",
    input: z.strictObject({}),
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
    surfaces: ["command"],
    example: {},
  }),
  "clients.list": machineOperation({
    summary: "Clients that were found on this machine, and whether SHIM is connected to them.",
    input: z.strictObject({}),
    output: z.object({ clients: z.array(ClientState) }),
    effect: "read",
    surfaces: ["command"],
    example: {},
  }),
};
