import * as z from "zod";
import { operations } from "../operations.ts";
import { Workspace } from "../values.ts";
import { declare } from "../operation.ts";
import { Secret, flag, count } from "./operation.ts";

/** Stored, too: add fields as optional. */
const SyncNotes = z.object({
  syncedAt: z.int().optional(),
  trouble: z.object({ code: z.string(), message: z.string(), at: z.int() }).nullable().optional(),
  /** Refused envelopes of other machines since the last full pull, inclusive. */
  refused: count.optional(),
  /** Kept local: too large, damaged, or under an id that no coordinator accepts. */
  keptHere: count.optional(),
});
export type SyncNotes = z.infer<typeof SyncNotes>;

const SyncStatus = z.object({
  device: z.string(),
  keyId: z.string(),
  /** Unsent changes, and when the oldest happened, in epoch ms. */
  backlog: count,
  oldestAt: z.int().nullable(),
  notes: SyncNotes,
  files: z.object({ sessions: count, bytes: count, notSent: count, reason: z.string().nullable() }),
});
export type SyncStatus = z.infer<typeof SyncStatus>;

const SyncState = z.object({
  /** Id of the key that this machine has; null: none. */
  key: z.string().nullable(),
  /** Why nothing is synced; null: it is. */
  problem: z.string().nullable(),
  sendsFiles: z.boolean(),
  /** Result of the last sync; null: none was. */
  status: SyncStatus.nullable(),
});
export type SyncState = z.infer<typeof SyncState>;

const SyncCounts = z.object({
  sessions: count,
  checkpoints: count,
  forgotten: count,
  files: count,
  received: count,
  refused: count,
  /** Changes that wait to be sent. */
  left: count,
});
export type SyncCounts = z.infer<typeof SyncCounts>;

const ShownKey = z.object({
  keyId: z.string(),
  /** Its code: who has it and a token can read what is synced. */
  key: z.string(),
});

const Change = z.strictObject({
  url: z.string().describe("URL of the coordinator"),
  workspace: Workspace,
  earlier: flag("also sync the sessions that this machine has from before"),
  replace: flag("leave the workspace that the machine belongs to"),
});

const Joined = z.object({
  workspace: z.string(),
  url: z.string(),
  machine: z.string(),
  /** Id of its key; null: this machine only coordinates. */
  keyId: z.string().nullable(),
  /** Code of a key that was made here, to be shown once; null: none was. */
  key: z.string().nullable(),
  /** Open tasks and keys in the machine's own coordinator: back when it leaves. */
  stays: z.object({ tasks: count, keys: count }),
});

const changeErrors = ["environment_decides", "other_workspace", "key_unusable"] as const;

export const workspaceOperations = {
  "workspace.adopt": declare("host", "write", {
    summary: "Set the workspace's key.",
    input: z.strictObject({ key: Secret }),
    output: z.object({
      keyId: z.string(),
      /** Code of a key that was made here, to be shown once; null: none was. */
      key: z.string().nullable(),
    }),
    errors: ["not_found", "key_needed", "key_unusable"],
  }),
  "workspace.create": declare("host", "write", {
    summary: "Make a workspace, and join it with this machine.",
    input: Change.extend({
      /** Secret of the deployment. */
      secret: Secret,
    }),
    output: Joined,
    errors: [...changeErrors, "secret_needed"],
  }),
  "workspace.current": declare("caller", "read", {
    summary: "The workspace that the machine has joined.",
    output: z.object({
      joined: z
        .object({
          url: z.string(),
          workspace: z.string(),
          hasSynced: z.boolean(),
          /** Loss of the machine when it leaves, for people; "": nothing. */
          loss: z.string(),
        })
        .nullable(),
      /** Why edge.json cannot be read; null: it can. */
      problem: z.string().nullable(),
    }),
    errors: ["environment_decides"],
  }),
  "workspace.join": declare("host", "write", {
    summary: "Join a workspace that machines share.",
    input: Change.extend({
      token: Secret,
      /** Code of the workspace's key. */
      key: Secret,
      sync: z.boolean().default(true).describe("false: only coordinate"),
    }),
    output: Joined,
    errors: [...changeErrors, "token_needed", "key_needed"],
  }),
  "workspace.key": declare("caller", "read", {
    summary: "Show the workspace's key.",
    output: ShownKey,
    errors: ["not_found", "key_unusable"],
  }),
  "workspace.leave": declare("host", "destructive", {
    summary: "Leave the workspace, and use this machine's own coordinator again.",
    input: z.strictObject({ forget: flag("also delete what it has stored there, and end its hand-overs and phones") }),
    output: z.object({
      left: z.string(),
      /** Copies that were deleted there; null: none was to be. */
      purged: z.object({ sessions: count, checkpoints: count }).nullable(),
      /** Copies of the machine's sessions stay there. */
      leavesCopies: z.boolean(),
    }),
    errors: ["environment_decides", "not_found"],
  }),
  "workspace.pull": declare("host", "write", {
    summary: "Fetch what the workspace's other machines have stored since a revision.",
    input: z.strictObject({ after: count }),
    output: z.object({ revision: count }),
    errors: ["not_found"],
  }),
  "workspace.rekey": declare("host", "write", {
    summary: "Make a new key for the workspace: all that this machine has stored is sealed and sent again.",
    output: SyncCounts.extend({
      ...ShownKey.shape,
      /** Why not everything is sealed under the new key yet; null: it is. */
      trouble: z.string().nullable(),
    }),
    errors: ["not_found", "key_unusable"],
  }),
  "workspace.renew-tokens": declare("host", "write", {
    summary: "Have this machine's tokens signed by the coordinator's present secret.",
    output: z.object({
      renewed: z.array(z.enum(["work", "admin"])),
      /** Valid tokens not signed in the last day; null: only the admin token sees them. */
      others: z
        .array(z.object({ id: z.string(), machine: z.string(), scope: z.string(), signedAgoMs: count }))
        .nullable(),
    }),
    errors: ["not_found", "environment_decides"],
  }),
  "workspace.status": declare("caller", "read", {
    summary: "The coordinator of this machine, and its state.",
    output: z.object({
      ...operations.health.output.partial().shape,
      where: z.string(),
      unreachable: z.string().optional(),
      sync: SyncState.optional(),
    }),
  }),
  "workspace.sync": declare("host", "write", {
    summary: "Send local changes, and fetch those of other machines.",
    output: SyncCounts,
    errors: ["not_found", "host_unusable", "other_workspace"],
  }),
};
