import * as z from "zod";
import type { FailureCode } from "../errors.ts";
import { declare } from "../operation.ts";
import { Folder, IdPrefix, idErrors, Named, flag } from "./operation.ts";

const path = z.string().min(1).max(4_096);
export const excluded = z.array(z.object({ path: z.string(), reason: z.string() })).readonly();

/** missing: the project has no such file now; created: it alone has it, so that it goes. */
const FileChanges = z.array(z.object({ path: z.string(), now: z.enum(["changed", "missing", "created"]) })).readonly();

const Saved = z.object({
  checkpoint: z.string(),
  /** Session whose files they are. */
  session: z.object({ id: z.string(), shortId: z.string(), title: z.string().nullable() }),
  /** Epoch ms at which they were saved, by the clock of this machine. */
  savedAt: z.int(),
  /** Folder of the project on this machine. */
  project: z.string(),
  /** Where the files come from another machine. */
  origin: z.object({ machine: z.string() }).nullable(),
  /** Files that were never saved. */
  leftOut: excluded,
  notRestored: excluded,
});
export type Saved = z.infer<typeof Saved>;

const input = z.strictObject({
  /** Id of a checkpoint or a session, of any machine; absent: the project's newest saved files. */
  id: IdPrefix.optional(),
  folder: Folder,
  files: z.array(path).max(10_000).default([]).describe("relative to the folder; none: all"),
});

const errors: readonly FailureCode[] = [
  "bad_input",
  ...idErrors,
  "no_project",
  "no_snapshot",
  "project_elsewhere",
  "edge_unreachable",
];

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
  redo: flag("take the last undo back"),
  files: z.array(z.string().min(1).max(4_096)).max(10_000).default([]).describe("only these files; none: all"),
});

const Undo = Named.extend({
  project: z.string(),
  /** The prompt before whose turn the files are put back; null: an undo is taken back. */
  prompt: z.object({ number: z.int(), text: z.string(), at: z.int() }).nullable(),
  /** In the sense of what would happen: missing files come back, created ones go. */
  changes: FileChanges,
  /** Files that the chat has changed and that stay as they are. */
  left: excluded,
  /** Commands that may change files again; without pids: their processes are not known. */
  atWork: z.array(z.strictObject({ command: z.string(), pids: z.array(z.int()).readonly() })).readonly(),
});

const undoErrors = ["bad_input", ...idErrors, "no_project", "no_snapshot", "restore_failed"] as const;

export const fileOperations = {
  "files.diff": declare("caller", "read", {
    summary: "What a restore of saved files would change.",
    input,
    output: Saved.extend({
      /** Number of the saved files that were compared. */
      compared: z.int(),
      changes: FileChanges,
      /** Text as `git diff` prints it. */
      diff: z.string(),
    }),
    errors,
  }),
  "files.restore": declare("caller", "write", {
    summary: "Put files back as they were, after a copy of what they replace.",
    input: input.extend({ into: Folder.optional().describe("into this new or empty folder instead") }),
    output: Saved.extend({
      written: z.array(z.string()).readonly(),
      /** Files of the project that differed from the saved ones; null: they went elsewhere. */
      differing: z.int().nullable(),
      into: z.string().nullable(),
      /** Copies of the replaced files; null: there was nothing to replace. */
      backup: z.string().nullable(),
    }),
    errors: [
      ...errors,
      "snapshot_missing",
      "folder_not_empty",
      "not_a_work_tree",
      "commit_missing",
      "bundle_unusable",
      "restore_failed",
      "interrupted",
    ],
  }),
  "undo.preview": declare("caller", "read", {
    summary: "What an undo of a chat's changes would put back.",
    input: undoInput,
    output: Undo.extend({
      /** Text as `git diff` prints it. */
      diff: z.string(),
    }),
    errors: undoErrors,
    surfaces: ["page"],
  }),
  "undo.apply": declare("host", "write", {
    summary: "Put back what a chat has changed since a prompt, by its tools and its commands.",
    input: undoInput,
    output: Undo.extend({
      /** Files that were to change and did not; the same undo or redo completes it. */
      refused: excluded,
      /** Holds the files as they were before; null: nothing was put back. */
      checkpoint: z.string().nullable(),
    }),
    errors: undoErrors,
    surfaces: ["page"],
  }),
};
