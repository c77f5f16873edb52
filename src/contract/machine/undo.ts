import * as z from "zod";
import { excluded, FileChanges } from "./files.ts";
import { Folder, IdPrefix, idErrors, machineOperation } from "./operation.ts";

const undoInput = z.strictObject({
  session: IdPrefix.optional().describe("the chat; default: the one that changed files last in this project"),
  folder: Folder,
  prompt: z
    .string()
    .max(1_000)
    .default("last")
    .describe(
      "since this prompt: its number, the beginning of its words, or last: the newest whose turn changed files",
    ),
  redo: z.boolean().default(false).describe("take the last undo back"),
  files: z.array(z.string().min(1).max(4_096)).max(10_000).default([]).describe("only these files; none: all"),
});

const Undo = z.object({
  session: z.string(),
  shortId: z.string(),
  title: z.string().nullable(),
  project: z.string(),
  /** The prompt before whose turn the files are put back; null: an undo is taken back. */
  prompt: z.object({ number: z.int(), text: z.string(), at: z.int() }).nullable(),
  /** In the sense of what would happen: missing files come back, created ones go. */
  changes: FileChanges,
  /** Files that the chat has changed and that stay as they are. */
  left: excluded,
});

const errors = ["bad_input", ...idErrors, "no_project", "no_snapshot", "restore_failed"] as const;

export const undoOperations = {
  "undo.preview": machineOperation({
    summary: "What an undo of a chat's changes would put back.",
    input: undoInput,
    output: Undo.extend({
      /** Text as `git diff` prints it. */
      diff: z.string(),
    }),
    errors,
    effect: "read",
    surfaces: ["command", "page"],
    example: { folder: "/home/you/app" },
  }),
  "undo.apply": machineOperation({
    summary: "Put back what a chat has changed since a prompt, by its tools and its commands.",
    input: undoInput,
    output: Undo.extend({
      /** Holds the files as they were before; null: nothing was put back. */
      checkpoint: z.string().nullable(),
    }),
    errors,
    effect: "write",
    surfaces: ["command", "page"],
    example: { folder: "/home/you/app" },
  }),
};
