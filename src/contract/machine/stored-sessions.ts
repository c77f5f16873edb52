import * as z from "zod";
import { File, Folder, Moment, SessionOrProject } from "./forms.ts";
import { machineOperation } from "./operation.ts";

const id = z.string().max(200);
const count = z.int().min(0);
const rows = z.array(z.looseObject({ at: z.int() })).readonly();

export const storedSessionOperations = {
  "sessions.stored": machineOperation({
    summary: "Everything that is stored of a session, in full.",
    input: z.strictObject({ session: id }),
    output: z.object({
      session: z.looseObject({ id: z.string() }),
      /** `text`: the entry in words. */
      journal: z.array(z.looseObject({ at: z.int(), text: z.string() })).readonly(),
      checkpoints: rows,
      snapshots: rows,
      signals: rows,
      crashes: rows,
      recoveries: rows,
      continued: rows,
      clients: rows,
      /** Copies that may hold the same. */
      copies: z.object({ backups: count }),
    }),
    errors: ["not_found", "ambiguous"],
    effect: "read",
    example: { session: "5f0e0e5e" },
  }),
  "sessions.forget": machineOperation({
    summary: "Delete a session, or a project, with every copy.",
    input: z.strictObject({
      target: SessionOrProject,
      isCheckpoint: z.boolean().default(false).describe("the target is the whole id of a checkpoint"),
      keepsCopies: z.boolean().default(false).describe("the copies stay, and a backup is made first"),
    }),
    /** `backup`: its file; null: none was made. */
    output: z.object({
      sessions: count,
      checkpoints: count,
      snapshots: count,
      rows: count,
      backup: z.string().nullable(),
    }),
    errors: ["not_found", "ambiguous", "files_left"],
    effect: "destructive",
    isLong: true,
    surfaces: ["command", "page"],
    example: { target: "5f0e0e5e" },
  }),
  "sessions.export": machineOperation({
    summary: "Everything stored, as JSON lines; to stdout without a file.",
    input: z.strictObject({
      file: File.optional(),
      session: id.optional().describe("only this session"),
      project: Folder.optional().describe("only this project"),
      since: Moment.optional().describe("only sessions seen since"),
      format: z.enum(["jsonl", "markdown", "atif"]).default("jsonl").describe("one session as a document"),
    }),
    /** `isTemporary`: no file was named, and who reads this one deletes it. */
    output: z.object({ file: z.string(), isTemporary: z.boolean(), lines: count, session: z.string().nullable() }),
    errors: ["bad_input", "not_found", "ambiguous", "file_exists"],
    effect: "write",
    doneBy: "caller",
    example: { session: "5f0e0e5e", format: "markdown" },
  }),
  "sessions.import": machineOperation({
    summary: "Add what an export has and this machine does not.",
    input: z.strictObject({ file: File }),
    output: z.object({ file: z.string(), added: count, skipped: count }),
    errors: ["not_found", "not_a_file", "import_refused"],
    effect: "write",
    example: { file: "/tmp/shim-export.jsonl" },
  }),
};
