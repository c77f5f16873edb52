import * as z from "zod";
import { hookClients } from "../clients.ts";
import { declare } from "../operation.ts";
import { Folder, flag } from "./operation.ts";
import { storedStates } from "./stored-states.ts";

export type StoredState = (typeof storedStates)[number];

const StoreFinding = z.object({
  state: z.enum(storedStates),
  /** Ends no sentence. */
  text: z.string(),
  /** File, where it is not the session's own. */
  file: z.string().optional(),
  /** In bytes from the start of the file, unpacked; absent: it is at no one place. */
  position: z.int().optional(),
  /** Bytes that hold no row. */
  bytes: z.int().optional(),
});
export type StoreFinding = z.infer<typeof StoreFinding>;

const CheckedSession = z.object({
  client: z.enum(hookClients),
  session: z.string(),
  /** First words of the user; null: none. */
  title: z.string().nullable(),
  folder: z.string().nullable(),
  /** Its file, or the database that holds it. */
  file: z.string(),
  /** Epoch ms. */
  changedAt: z.number(),
  state: z.enum(storedStates),
  findings: z.array(StoreFinding),
  /** Size of its files on the disk, those of sub-agents with it; of a database its own texts. */
  bytes: z.int(),
  /** All bytes of its rows, of damages, and blank ones between them, unpacked. */
  read: z.object({ rows: z.int(), damaged: z.int(), blank: z.int() }),
  lines: z.int(),
  prompts: z.int(),
  /** Prompts that its client sends; null: it sends all of the file. */
  sent: z.int().nullable(),
  subagents: z.int(),
  /** Copy that was made of it; null: none was. */
  kept: z.string().nullable(),
});
export type CheckedSession = z.infer<typeof CheckedSession>;

const Unread = z.object({ file: z.string(), why: z.string() });

const CheckedStore = z.object({
  client: z.enum(hookClients),
  /** Folder or database. */
  path: z.string(),
  isThere: z.boolean(),
  sessions: z.int(),
  /** Results of checks beside the sessions. */
  notes: z.array(z.string()),
});
export type CheckedStore = z.infer<typeof CheckedStore>;

export const storesOperations = {
  "stores.check": declare("caller", "write", {
    summary: "Read all that clients keep of their sessions, and say which are whole, damaged or not listed.",
    input: z.strictObject({
      client: z.enum(hookClients).optional().describe("one client alone"),
      keep: flag("copy sessions that their client is about to delete"),
      folder: Folder,
    }),
    output: z.object({
      stores: z.array(CheckedStore),
      sessions: z.array(CheckedSession),
      /** Files and folders that could not be read, with the reason. */
      unread: z.array(Unread),
    }),
  }),
  "stores.list": declare("caller", "read", {
    summary: "The sessions that clients keep on this machine, recorded by SHIM or not.",
    input: z.strictObject({ client: z.enum(hookClients).optional().describe("one client alone") }),
    /** `file`: null: it is in a database, and is read by its id. */
    output: z.object({
      sessions: z.array(z.object({ client: z.enum(hookClients), session: z.string(), file: z.string().nullable() })),
      unread: z.array(Unread),
    }),
  }),
};
