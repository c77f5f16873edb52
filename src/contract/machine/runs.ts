import * as z from "zod";
import { hookClients } from "../clients.ts";
import { declare } from "../operation.ts";
import { maxUserWordsChars } from "../user-words.ts";
import { flag, Folder, IdPrefix, idErrors } from "./operation.ts";

/** A client that the host has started without a terminal, for one prompt. */
export const Run = z.object({
  run: z.string(),
  /** The client has named it; null: not yet. */
  session: z.string().nullable(),
  project: z.string(),
  /** Name of the client, for people. */
  client: z.string(),
  /** Name of the phone, or the surface. */
  by: z.string(),
  state: z.enum(["runs", "done", "failed", "stopped"]),
  /** Last words that it printed, redacted. */
  text: z.string(),
  ageMs: z.number(),
});
export type Run = z.infer<typeof Run>;

const RunList = z.object({
  projects: z.array(z.object({ project: z.string(), endsInMs: z.number().nullable() })),
  /** stops: when it takes a stop of a turn in its window; null: its terminal alone does. */
  clients: z.array(
    z.object({ name: z.enum(hookClients), title: z.string(), stops: z.enum(["now", "call"]).nullable() }),
  ),
  runs: z.array(Run),
});
export type RunList = z.infer<typeof RunList>;

export const runOperations = {
  "runs.list": declare("host", "read", {
    summary:
      "Projects in which clients may be started from elsewhere, and the runs that the host has started, the oldest first.",
    output: RunList,
    surfaces: ["page"],
  }),
  "runs.start": declare("host", "write", {
    summary: "Start a client without a terminal: it continues a session that no window has open, or begins a new chat.",
    input: z.strictObject({
      session: IdPrefix.min(1).optional().describe("continue this session; else a new chat begins in --project"),
      project: Folder.optional(),
      client: z.enum(hookClients).optional().describe("client of a new chat; default: that of the session"),
      isNew: flag("begin a new chat with the session's brief, also while a window has the session open"),
      text: z.string().min(1).max(maxUserWordsChars),
    }),
    output: z.object({
      run: z.string(),
      /** Known where SHIM chooses the id; else null. */
      session: z.string().nullable(),
      client: z.string(),
      project: z.string(),
      /** Whether the session itself is continued. */
      isContinued: z.boolean(),
    }),
    errors: ["switched_off", "not_released", "still_running", "throttled", "bad_input", ...idErrors],
    surfaces: ["page"],
    example: { session: "5f0e0e5e", text: "Go on with the tests." },
  }),
  "runs.stop": declare("host", "write", {
    summary: "Stop a run that the host has started, or the turn of a chat in a window, where its client takes that.",
    input: z.strictObject({ run: IdPrefix.min(1).describe("id of the run, or of the session") }),
    /** run: null: Stop was sent to the client of an open window. */
    output: z.object({ run: z.string().nullable(), session: z.string().nullable() }),
    errors: ["not_released", "switched_off", "ended", ...idErrors],
    surfaces: ["page"],
    example: { run: "3fae12ab" },
  }),
};
