import * as z from "zod";
import { operations } from "../operations.ts";
import { machineOperation } from "./operation.ts";

const count = z.int().min(0);

const SyncState = z.object({
  /** Id of the key that this machine has; null: none. */
  key: z.string().nullable(),
  device: z.string().nullable(),
  /** Why nothing is synced; null: it is. */
  problem: z.string().nullable(),
  sendsFiles: z.boolean(),
  /** From here on absent before the first sync. */
  epoch: z.int().optional(),
  keyId: z.string().optional(),
  backlog: count.optional(),
  oldestAt: z.int().nullable().optional(),
  notes: z
    .object({
      syncedAt: z.int().optional(),
      trouble: z.object({ code: z.string(), message: z.string(), at: z.int() }).nullable().optional(),
      refused: count.optional(),
      passedOver: count.optional(),
      keptHere: count.optional(),
    })
    .optional(),
  files: z.object({ sessions: count, bytes: count, notSent: count, reason: z.string().nullable() }).optional(),
});
export type SyncState = z.infer<typeof SyncState>;

const SyncReport = z.object({
  sessions: count,
  checkpoints: count,
  forgotten: count,
  files: count,
  received: count,
  refused: count,
  /** Changes that wait to be sent. */
  left: count,
  trouble: z.looseObject({ code: z.string(), message: z.string() }).nullable(),
});
export type SyncReport = z.infer<typeof SyncReport>;

export const workspaceOperations = {
  "workspace.current": machineOperation({
    summary: "The workspace that the machine has joined.",
    input: z.strictObject({}),
    output: z.object({
      joined: z
        .object({ url: z.string(), workspace: z.string(), hasAdminToken: z.boolean(), hasSynced: z.boolean() })
        .nullable(),
      /** Why edge.json cannot be read; null: it can. */
      problem: z.string().nullable(),
    }),
    errors: ["environment_decides"],
    effect: "read",
    surfaces: [],
    example: {},
  }),
  "workspace.leave": machineOperation({
    summary: "Leave the workspace, and use this machine's own coordinator again.",
    input: z.strictObject({ forget: z.boolean().default(false).describe("also delete what it has stored there") }),
    output: z.object({
      left: z.string(),
      /** Copies that were deleted there; null: none was to be. */
      purged: z.object({ sessions: count, checkpoints: count }).nullable(),
    }),
    errors: ["environment_decides", "not_found"],
    effect: "destructive",
    surfaces: ["command"],
    example: {},
  }),
  "workspace.status": machineOperation({
    summary: "The coordinator of this machine, and its state.",
    input: z.strictObject({}),
    output: z.object({
      ...operations.health.output.partial().shape,
      where: z.string(),
      unreachable: z.string().optional(),
      sync: SyncState.optional(),
    }),
    effect: "read",
    surfaces: ["command"],
    example: {},
  }),
  "workspace.sync": machineOperation({
    summary: "Send local changes, and fetch those of other machines.",
    input: z.strictObject({}),
    output: SyncReport,
    errors: ["not_found"],
    effect: "write",
    surfaces: ["command"],
    example: {},
  }),
};
