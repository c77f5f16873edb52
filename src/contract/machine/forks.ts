import * as z from "zod";
import { excluded } from "./files.ts";
import { declare } from "../operation.ts";
import { Folder, IdPrefix, idErrors, Named } from "./operation.ts";
import { Start } from "./recovery.ts";

const session = IdPrefix.optional().describe("a session of this machine; absent: the newest of the folder's project");

const Files = z.object({
  checkpoint: z.string(),
  /** When they were read, epoch ms. */
  at: z.int(),
  /** Whether that was before the prompt. */
  isBefore: z.boolean(),
});
export type ForkFiles = z.infer<typeof Files>;

const Moment = z.object({
  number: z.int(),
  at: z.int(),
  text: z.string(),
  /** The user took it back in the client: by a rewind, a rollback or an edit. */
  isTakenBack: z.boolean(),
  /** Saved files of the moment; null: none are certain to be. */
  files: Files.nullable(),
});
export type ForkMoment = z.infer<typeof Moment>;

const Fork = Named.extend({
  prompt: Moment.extend({ files: Files }),
  /** Number of the session's newest prompt. */
  prompts: z.int(),
  /** New branch; null for a copy of the files in a folder that was named. */
  branch: z.string().nullable(),
  folder: z.string(),
  /** Commit on which the files are based; null for a copy. */
  base: z.string().nullable(),
  leftOut: excluded,
  notRestored: excluded,
  brief: z.string(),
  /** Program of the client; null: none can be started from a command line. */
  start: Start.nullable(),
});
export type Fork = z.infer<typeof Fork>;

export const forkOperations = {
  "forks.list": declare("caller", "read", {
    summary: "The prompts of a session, at which it can be forked, and whether the files of then are saved.",
    input: z.strictObject({ session, folder: Folder }),
    output: Named.extend({ moments: z.array(Moment) }),
    errors: idErrors,
    example: { session: "5f0e0e5e" },
  }),
  "forks.create": declare("caller", "write", {
    summary: "A worktree with the files as they were at a prompt, and the brief of that moment for a new chat.",
    input: z.strictObject({
      session,
      folder: Folder,
      at: z.string().min(1).max(10_000).describe("number of a prompt, the beginning of its words, or last"),
      client: z.string().max(100).optional(),
      into: Folder.optional().describe("a copy in this new or empty folder instead, without a branch"),
    }),
    output: Fork,
    errors: [
      "bad_input",
      ...idErrors,
      "no_snapshot",
      "no_project",
      "snapshot_missing",
      "folder_not_empty",
      "not_a_work_tree",
      "commit_missing",
      "restore_failed",
    ],
    example: { session: "5f0e0e5e", at: "14" },
  }),
};
