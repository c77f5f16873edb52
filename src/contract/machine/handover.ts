import * as z from "zod";
import { excluded } from "./files.ts";
import { Duration, File, Folder, IdPrefix, idErrors, Named, Secret, flag } from "./operation.ts";
import { Native } from "./recovery.ts";
import { declare } from "../operation.ts";

/** Things that the chat of a session held in its workspace at its hand-over. */
export const Held = z.object({
  /** Reserved: `file:<project>/<path>`. */
  files: z.array(z.string()),
  /** Names of elections. */
  leads: z.array(z.string()),
  tasks: z.array(z.object({ task: z.int(), type: z.string(), excerpt: z.string().describe("of its payload") })),
});
export type Held = z.infer<typeof Held>;

const Given = Named.extend({
  /** Sealed file, with the code that opens it; null: it is at the coordinator. */
  sealed: z.object({ file: z.string(), code: z.string() }).nullable(),
  /** Opens what the coordinator holds: who has it first has the session; null: it is in a file. */
  link: z.string().nullable(),
  bytes: z.int(),
  /** Not to be taken later, epoch ms. */
  until: z.int(),
  files: z.object({
    /** Why the uncommitted files are not in it; null: they are. */
    missing: z.string().nullable(),
    /** Files that are never saved. */
    leftOut: excluded,
    /** The commit that they are based on is on no remote: another clone lacks it. */
    isUnpushed: z.boolean(),
  }),
  hasConversation: z.boolean(),
  /** Things that the chat holds; null: none. */
  held: Held.nullable(),
});
export type Given = z.infer<typeof Given>;

const Taken = Named.extend({
  /** Machine that gave it. */
  from: z.string(),
  /** Epoch ms, by the clock of that machine. */
  givenAt: z.int(),
  /** This machine had taken this very hand-over: nothing new was made. */
  isRepeated: z.boolean(),
  /** An earlier hand-over of the session was replaced. */
  isAgain: z.boolean(),
  /** Folder in which its chat continues. */
  folder: z.string(),
  /** New branch with the files; null: a copy, or no files came. */
  branch: z.string().nullable(),
  hasFiles: z.boolean(),
  leftOut: excluded,
  notRestored: excluded,
  /** The conversation as a session of a client; null: the brief stands for it. */
  native: Native.nullable(),
  /** Things that its chat held; null: none. */
  held: Held.nullable(),
});
export type Taken = z.infer<typeof Taken>;

export const handoverOperations = {
  "handover.give": declare("host", "write", {
    summary:
      "Hand a session over by a link, or in a sealed file: its state, its uncommitted files and, if asked for, its conversation.",
    input: z.strictObject({
      session: IdPrefix.optional().describe("a session of this machine; absent: the newest of the folder's project"),
      folder: Folder,
      file: File.optional().describe(
        "a new file; absent: the workspace's coordinator holds it, for one machine to take",
      ),
      until: Duration.optional().describe("time in which it can be taken; default: 10 minutes, in a file a week"),
      native: flag("with the conversation itself, and not its brief alone"),
    }),
    output: Given,
    errors: ["bad_input", ...idErrors, "file_exists", "not_given", "no_edge"],
    isLong: true,
    example: { session: "5f0e0e5e", file: "/home/you/5f0e.shim" },
  }),
  "handover.withdraw": declare("host", "write", {
    summary: "Withdraw the link of a session, so that nobody takes it any more.",
    input: z.strictObject({
      session: IdPrefix.optional().describe("a session of this machine; absent: the newest of the folder's project"),
      folder: Folder,
    }),
    output: Named.extend({ ended: z.int() }),
    errors: ["bad_input", ...idErrors, "no_edge", "edge_unreachable"],
    example: { session: "5f0e0e5e" },
  }),
  "handover.take": declare("host", "write", {
    summary: "Take a session that another machine has handed over: it is stored here, with its files in a worktree.",
    input: z.strictObject({
      file: File.optional(),
      /** Code of the file, or the link. */
      code: Secret,
      folder: Folder.describe("a clone of its project"),
      into: Folder.optional().describe("the files go to this new or empty folder, without a branch"),
      client: z.string().max(100).optional().describe("client of the conversation; absent: the session's own"),
      native: flag("write the conversation as a session of the client"),
    }),
    output: Taken,
    errors: [
      "bad_input",
      ...idErrors,
      "key_needed",
      "key_unusable",
      "not_taken",
      "folder_not_empty",
      "not_a_work_tree",
      "commit_missing",
      "bundle_unusable",
      "restore_failed",
      "client_missing",
      "not_written",
    ],
    isLong: true,
    example: { file: "/home/you/5f0e.shim" },
  }),
};
