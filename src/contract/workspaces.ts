import * as z from "zod";
import { BudgetChanges, Budgets } from "./budgets.ts";
import { ComplexityWeights, defaultComplexityWeights } from "./complexity.ts";
import { counter, durationMs, Id, Json, Label, limit } from "./values.ts";

export const Workspace = z.string().regex(/^[a-z0-9][a-z0-9-]{1,62}$/, "2 to 63 lower case letters, digits and -");

/** Each contains those before it. */
export const scopes = ["observe", "submit", "work", "admin"] as const;
export const Scope = z.enum(scopes);
export type Scope = z.infer<typeof Scope>;

export const Settings = z.strictObject({
  maxConcurrentChats: z.int().min(1).max(10_000),
  /** Of them, for one machine while another one has a token of scope work: 0 to 1. A machine that is alone may have all. */
  machineChatShare: z.number().min(0).max(1),
  /** Offline chats of one machine, each of which is kept for a day. */
  maxOfflineChatsPerMachine: z.int().min(1).max(1_000_000),
  /** A chat of which nothing is heard for so long is offline. */
  chatTtlMs: z.int().min(5_000).max(600_000),
  /** After a closed socket, before a chat counts as gone. */
  workerGraceMs: z.int().min(0).max(600_000),
  interactiveGraceMs: z.int().min(0).max(600_000),
  /** After all sockets were lost without a close: a deploy, a crash of the host. */
  lostSocketGraceMs: z.int().min(0).max(600_000),
  /** Leases that one chat holds and waits for. */
  maxLeasesPerChat: z.int().min(1).max(100_000),
  /** Requests that wait for a lease: of one chat, for one resource, in all. */
  maxWaitersPerChat: z.int().min(1).max(100_000),
  maxWaitersPerResource: z.int().min(1).max(100_000),
  maxWaiters: z.int().min(1).max(100_000),
  maxKeys: z.int().min(1).max(1_000_000),
  maxStateChars: z.int().min(1_000).max(1_000_000_000),
  maxMessages: z.int().min(10).max(1_000_000),
  /** Characters of all bodies that are kept; beyond that the oldest go. */
  maxMessageChars: z.int().min(100_000).max(5_000_000_000),
  /** Topics with a schema. */
  maxTopicSchemas: z.int().min(1).max(100_000),
  /** Changes are kept so long for watches that resume. */
  keepChangesMs: z.int().min(60_000).max(604_800_000),
  /** Characters of keys and values in the changes that are kept; beyond that the oldest go before their time. */
  maxChangeChars: z.int().min(100_000).max(5_000_000_000),
  /** Request ids of one machine that are remembered, for a day each, and characters of their results. */
  maxRequestIdsPerMachine: z.int().min(100).max(10_000_000),
  maxRequestCharsPerMachine: z.int().min(100_000).max(5_000_000_000),
  /** A task that has cost so many chats, or stalled so often, is dead. */
  maxLostChats: z.int().min(1).max(20),
  maxStalls: z.int().min(1).max(100),
  /** A task that was assigned and not started by then is given back. */
  startDeadlineMs: z.int().min(1_000).max(600_000),
  /** Of more, the oldest that have ended go before their time; no workspace has more than twice as many. */
  maxTasks: z.int().min(10).max(5_000_000),
  /** Lanes with something queued: a lane is a type of task with the capabilities that it needs. */
  maxLanes: z.int().min(10).max(10_000),
  /** Keys of duplicates that are remembered. */
  maxDedupeKeys: z.int().min(10).max(10_000_000),
  /** Tasks that are done or cancelled are kept so long, dead ones so long, and keys of duplicates so long after the submit. */
  keepTasksMs: z.int().min(3_600_000).max(7_776_000_000),
  keepDeadTasksMs: z.int().min(3_600_000).max(7_776_000_000),
  keepDedupeMs: z.int().min(3_600_000).max(7_776_000_000),
  /** Tasks that were assigned and have not started are moved to chats with less load so often. */
  balancingIntervalMs: z.int().min(1_000).max(600_000),
  /** Sessions and checkpoints of machines are kept so long after their last change; of each session so many checkpoints. */
  keepSyncMs: z.int().min(3_600_000).max(31_536_000_000),
  maxSyncCheckpoints: z.int().min(1).max(1_000),
  maxSyncChars: z.int().min(1_000).max(5_000_000_000),
  /** From four fifths of it on nothing that grows is accepted. On Cloudflare an object holds 10 GB. */
  maxStorageBytes: z.int().min(100_000).max(10_000_000_000),
  /** Open sockets of one token, and of the workspace. */
  maxSocketsPerToken: z.int().min(1).max(10_000),
  maxSockets: z.int().min(1).max(10_000),
  /** Of one token, sustained; three seconds' worth at once. What keeps and ends work has a share of the same size for itself. */
  maxOperationsPerSecond: z.int().min(10).max(1_000_000),
  budgets: Budgets,
  /** What makes a job complex. */
  complexity: ComplexityWeights,
});
export type Settings = z.infer<typeof Settings>;

export const defaultSettings: Settings = {
  maxConcurrentChats: 100,
  machineChatShare: 0.5,
  maxOfflineChatsPerMachine: 5_000,
  chatTtlMs: 30_000,
  workerGraceMs: 5_000,
  interactiveGraceMs: 20_000,
  lostSocketGraceMs: 90_000,
  maxLeasesPerChat: 1_000,
  maxWaitersPerChat: 100,
  maxWaitersPerResource: 500,
  maxWaiters: 1_000,
  maxKeys: 200_000,
  maxStateChars: 500_000_000,
  maxMessages: 100_000,
  maxMessageChars: 250_000_000,
  maxTopicSchemas: 1_000,
  keepChangesMs: 3_600_000,
  maxChangeChars: 250_000_000,
  maxRequestIdsPerMachine: 1_000_000,
  maxRequestCharsPerMachine: 50_000_000,
  maxLostChats: 3,
  maxStalls: 3,
  startDeadlineMs: 30_000,
  maxTasks: 500_000,
  maxLanes: 1_000,
  maxDedupeKeys: 1_000_000,
  keepTasksMs: 604_800_000,
  keepDeadTasksMs: 2_592_000_000,
  keepDedupeMs: 604_800_000,
  balancingIntervalMs: 5_000,
  keepSyncMs: 2_592_000_000,
  maxSyncCheckpoints: 20,
  maxSyncChars: 500_000_000,
  maxStorageBytes: 10_000_000_000,
  maxSocketsPerToken: 200,
  maxSockets: 1_000,
  maxOperationsPerSecond: 2_000,
  budgets: { task: {}, chat: {}, day: {} },
  complexity: defaultComplexityWeights,
};

export const GetSettings = { input: z.strictObject({}), output: z.object({ settings: Settings }) };
export const SetSettings = {
  input: z.strictObject({ settings: Settings.partial().extend({ budgets: BudgetChanges.optional() }) }),
  output: z.object({ settings: Settings }),
};
export type SetSettings = z.infer<typeof SetSettings.input>;

export const AuditEntry = z.object({
  seq: counter,
  ageMs: durationMs,
  /** Such as lease.granted, lease.expired, leader.changed, chat.offline, token.created. */
  kind: z.string(),
  subject: z.string(),
  actor: z.string().nullable(),
  detail: Json,
});
export type AuditEntry = z.infer<typeof AuditEntry>;

export const ListAudit = {
  input: z.strictObject({ before: counter.optional(), kind: z.string().max(60).optional(), limit: limit(500, 100) }),
  output: z.object({ entries: z.array(AuditEntry) }),
};
export type ListAudit = z.infer<typeof ListAudit.input>;

export const CreateToken = {
  input: z.strictObject({
    machine: Label,
    scope: Scope,
    ttlMs: z.int().min(60_000).max(31_536_000_000).optional(),
    /** The same request again is answered with the same token. */
    requestId: Id.optional(),
  }),
  output: z.object({ id: Id, /** Shown once, stored only as a hash. */ token: z.string() }),
};
export type CreateToken = z.infer<typeof CreateToken.input>;

const TokenInfo = z.object({
  id: Id,
  machine: z.string(),
  scope: Scope,
  ageMs: durationMs,
  expiresInMs: durationMs.nullable(),
  isRevoked: z.boolean(),
});

export const ListTokens = { input: z.strictObject({}), output: z.object({ tokens: z.array(TokenInfo) }) };
export const RevokeToken = { input: z.strictObject({ id: Id }), output: z.object({ isRevoked: z.boolean() }) };
export type RevokeToken = z.infer<typeof RevokeToken.input>;

/** After a restore from an older state: no token and no revision comes again. */
export const RaiseEpoch = {
  input: z.strictObject({
    reason: z.string().min(1).max(500),
    /**
     * For so long no lease is granted and no leader elected: whoever was granted one in the history that is lost may still trust it. The default
     * covers every bound lease and every election; a plain lease may have been granted for up to an hour.
     */
    quietMs: z.int().min(0).max(3_600_000).default(600_000),
    /** The same request again raises nothing more. */
    requestId: Id.optional(),
  }),
  output: z.object({ epoch: counter }),
};
export type RaiseEpoch = z.output<typeof RaiseEpoch.input>;

export const GetHealth = {
  input: z.strictObject({}),
  output: z.object({
    /** Until the alarm rings; null: none is set. Below 0: it is late. */
    alarmInMs: z.number().nullable(),
    overdueRows: counter,
    /** Tokens under way to the queue: one at most. */
    outboxDepth: counter.default(0),
    sockets: counter,
    chats: counter,
    schemaVersion: z.int(),
    epoch: counter,
    revision: counter,
    protocol: z.int(),
    /** Null where the host does not measure it. `full`: what grows is refused as `quota_exceeded` until something has been deleted. */
    storage: z
      .object({ bytes: counter, limitBytes: counter, state: z.enum(["normal", "full"]) })
      .nullable()
      .default(null),
  }),
};
