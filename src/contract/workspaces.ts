import * as z from "zod";
import { metrics, type MetricName } from "./metrics.ts";
import { BudgetChanges, Budgets, Usage } from "./budgets.ts";
import { declare, Scope } from "./operation.ts";
import { Json, counter, durationMs, Id, Label, limit, NumberCursor, Workspace } from "./values.ts";

/** One line each: bounds, and the default. */
const fields = {
  maxConcurrentChats: z.int().min(1).max(10_000).default(100),
  /** Share of one machine while another has a work token; a lone machine may have all. */
  machineChatShare: z.number().min(0).max(1).default(0.5),
  maxOfflineChatsPerMachine: z.int().min(1).max(1_000_000).default(5_000),
  /** Silence after which a chat is offline. */
  chatTtlMs: z.int().min(5_000).max(600_000).default(30_000),
  workerGraceMs: z.int().min(0).max(600_000).default(5_000),
  interactiveGraceMs: z.int().min(0).max(600_000).default(20_000),
  /** Grace period after all sockets were lost without a close: a deploy, a crash of the host. */
  lostSocketGraceMs: z.int().min(0).max(600_000).default(90_000),
  maxLeasesPerChat: z.int().min(1).max(100_000).default(1_000),
  maxWaitersPerChat: z.int().min(1).max(100_000).default(100),
  maxWaitersPerResource: z.int().min(1).max(100_000).default(500),
  maxWaiters: z.int().min(1).max(100_000).default(1_000),
  maxKeys: z.int().min(1).max(1_000_000).default(200_000),
  maxStateChars: z.int().min(1_000).max(1_000_000_000).default(500_000_000),
  maxMessages: z.int().min(10).max(1_000_000).default(100_000),
  /** Characters of all stored bodies; above it the oldest are deleted. */
  maxMessageChars: z.int().min(100_000).max(5_000_000_000).default(250_000_000),
  keepChangesMs: z.int().min(60_000).max(604_800_000).default(3_600_000),
  /** Characters of keys and values in stored changes; above it the oldest are deleted early. */
  maxChangeChars: z.int().min(100_000).max(5_000_000_000).default(250_000_000),
  /** Request ids stored per machine, for a day each, and characters of their results. */
  maxRequestIdsPerMachine: z.int().min(100).max(10_000_000).default(1_000_000),
  maxRequestCharsPerMachine: z.int().min(100_000).max(5_000_000_000).default(50_000_000),
  maxLostChats: z.int().min(1).max(20).default(3),
  maxStalls: z.int().min(1).max(100).default(3),
  startDeadlineMs: z.int().min(1_000).max(600_000).default(30_000),
  /** Limit above which the oldest ended tasks are deleted early; twice as many is the maximum. */
  maxTasks: z.int().min(10).max(5_000_000).default(500_000),
  /** Partition keys with queued tasks. */
  maxLanes: z.int().min(10).max(10_000).default(1_000),
  maxDedupeKeys: z.int().min(10).max(10_000_000).default(1_000_000),
  /** Retention of done or cancelled tasks, of dead ones, and of dedupe keys after the submit. */
  keepTasksMs: z.int().min(3_600_000).max(7_776_000_000).default(604_800_000),
  keepDeadTasksMs: z.int().min(3_600_000).max(7_776_000_000).default(2_592_000_000),
  keepDedupeMs: z.int().min(3_600_000).max(7_776_000_000).default(604_800_000),
  balancingIntervalMs: z.int().min(1_000).max(600_000).default(5_000),
  /** Retention of sessions and checkpoints after their last change. */
  keepSyncMs: z.int().min(3_600_000).max(31_536_000_000).default(2_592_000_000),
  maxSyncChars: z.int().min(1_000).max(5_000_000_000).default(500_000_000),
  /** Sessions and parts of files: each is a row, however short. */
  maxSyncRecords: z.int().min(10).max(5_000_000).default(200_000),
  /** Other machines read them all. */
  maxSyncSessionsPerMachine: z.int().min(1).max(1_000_000).default(5_000),
  /** Growth is refused from four fifths of the limit. On Cloudflare an object holds 10 GB. */
  maxStorageBytes: z.int().min(100_000).max(10_000_000_000).default(10_000_000_000),
  /** Hand-overs and phones, and the characters that the coordinator holds of them. */
  maxBoxes: z.int().min(1).max(10_000).default(1_000),
  maxBoxesPerToken: z.int().min(1).max(10_000).default(100),
  maxBoxChars: z.int().min(100_000).max(5_000_000_000).default(1_000_000_000),
  maxBoxCharsPerToken: z.int().min(100_000).max(5_000_000_000).default(250_000_000),
  maxSocketsPerToken: z.int().min(1).max(10_000).default(200),
  maxSockets: z.int().min(1).max(10_000).default(1_000),
  /**
   * Sustained, with bursts of three seconds' worth; calls that keep or end work get as much again.
   */
  maxOperationsPerSecond: z.int().min(10).max(1_000_000).default(2_000),
  budgets: Budgets.default({ task: {}, chat: {}, day: {} }),
};
type Fields = typeof fields;

/** Without the defaults, so that an absent setting stays as it is. */
export const Settings = z.strictObject(mapFields((field) => field.unwrap())) as z.ZodObject<
  { [Name in keyof Fields]: ReturnType<Fields[Name]["unwrap"]> },
  z.core.$strict
>;
export type Settings = z.infer<typeof Settings>;

export const defaultSettings = mapFields(({ def }) => def.defaultValue) as Settings;

function mapFields<Value>(map: (field: z.ZodDefault<z.ZodType>) => Value): Record<string, Value> {
  return Object.fromEntries(Object.entries<z.ZodDefault<z.ZodType>>(fields).map(([name, field]) => [name, map(field)]));
}

export const AuditEntry = z.object({
  seq: counter,
  ageMs: durationMs,
  kind: z.string(),
  subject: z.string(),
  actor: z.string().nullable(),
  detail: Json,
});
export type AuditEntry = z.infer<typeof AuditEntry>;

const TokenInfo = z.object({
  id: Id,
  machine: z.string(),
  scope: Scope,
  ageMs: durationMs,
  /** Time since the secret of then signed it. */
  signedAgoMs: durationMs,
  expiresInMs: durationMs.nullable(),
  isRevoked: z.boolean(),
});

/**
 * Time without grants and elections after a restore: a holder from lost history may still trust
 * its lease. The default covers every bound lease and every election; a plain lease may last up to
 * an hour.
 */
const quietMs = z.int().min(0).max(3_600_000).default(600_000);

const TableName = z.string().regex(/^[a-z_]{1,40}$/);

/** Rows of one table of an export, as they are stored. */
const Rows = z.strictObject({
  table: TableName,
  columns: z.array(z.string().max(60)).max(100),
  rows: z.array(z.array(z.union([z.string(), z.number(), z.null()]))).max(1_000),
});
export type Rows = z.infer<typeof Rows>;

export const workspaceOperations = {
  "settings.get": declare("observe", "GET /settings", {
    output: z.object({ settings: Settings }),
    summary: "Returns the limits and times of the workspace.",
  }),
  "settings.set": declare("admin", "PUT /settings", {
    input: z.strictObject({
      settings: Settings.partial().extend({ budgets: BudgetChanges.optional() }),
      /** For the audit log. */
      reason: z.string().min(1).max(500).optional(),
    }),
    output: z.object({ settings: Settings }),
    summary: "Changes limits and times; settings that are not named stay the same.",
    effect: "free",
    example: { settings: { maxKeys: 100_000 } },
  }),
  "budgets.get": declare("observe", "GET /budgets", {
    output: z.object({
      limits: Budgets,
      today: Usage,
      dayEndsInMs: durationMs,
      isDaySpent: z.boolean(),
      /** Chats with some use, highest cost first; at most 100. */
      chats: z.array(z.object({ chat: Id, machine: Label.nullable(), used: Usage, isSpent: z.boolean() })),
    }),
    summary: "Returns the budgets, and what has been used of them.",
    surfaces: ["page"],
  }),
  "audit.list": declare("admin", "GET /audit", {
    input: z.strictObject({
      kind: z.string().max(60).optional().describe("such as lease.granted, chat.offline, settings.changed"),
      subject: z.string().max(520).optional().describe("only entries whose subject begins with it"),
      actor: z.string().max(200).optional().describe("only entries whose actor begins with it"),
      maxAgeMs: durationMs.optional().meta({ form: "duration", description: "only entries that are not older" }),
      cursor: NumberCursor.optional(),
      limit: limit(500, 100),
    }),
    output: z.object({ entries: z.array(AuditEntry), cursor: NumberCursor.nullable() }),
    summary: "Lists who acquired, lost, changed and ended what, newest first.",
    surfaces: ["page"],
  }),
  /** Continues after a restore from an older state: no token and no revision is reused. */
  "epoch.raise": declare("admin", "POST /epoch/raise", {
    input: z.strictObject({
      reason: z.string().min(1).max(500),
      quietMs,
      requestId: Id.optional(),
    }),
    output: z.object({ epoch: counter }),
    errors: ["key_reused"],
    summary:
      "After a restore: no number is used a second time, and no lease is granted until the lost ones have expired.",
    effect: "keep",
    example: { reason: "a restore" },
  }),
  "workspace.restore": declare("admin", "POST /restore", {
    input: z.strictObject({
      /** Epoch ms. On Cloudflare at most 30 days ago. */
      to: z.int().min(1).meta({ form: "moment", description: "a time, or so long ago" }),
      reason: z.string().min(1).max(500).describe("for the audit log"),
      quietMs,
      /** True: only says what would be lost. */
      isDryRun: z.boolean().default(true),
    }),
    output: z.object({
      /** Entries of the audit log since then, by kind, most first. */
      lost: z.array(z.object({ kind: z.string(), count: counter })),
      /** The new epoch; null after a dry run. */
      epoch: counter.nullable(),
    }),
    errors: ["restore_unavailable"],
    summary: "Puts the whole workspace back to an earlier time, and begins a new epoch; a dry run says what is lost.",
    effect: "free",
    isDestructive: true,
    example: { to: 1_700_000_000_000, reason: "a wrong script", isDryRun: true },
  }),
  "workspace.freeze": declare("admin", "POST /freeze", {
    input: z.strictObject({
      /** From now; never shortens a freeze; 0 ends it. */
      ms: z
        .int()
        .min(0)
        .max(30 * 86_400_000)
        .meta({ form: "duration", description: "for how long" }),
    }),
    output: z.object({ /** Number of the freeze, which an export names. */ freeze: counter, remainingMs: durationMs }),
    summary: "Makes the workspace read only for a time, which an export needs; also extends and ends that.",
    effect: "free",
    example: { ms: 0 },
  }),
  "workspace.export": declare("admin", "GET /export", {
    input: z.strictObject({
      freeze: counter,
      /** `next` of the page before. */
      after: z.string().max(8_000).optional(),
    }),
    output: z.object({
      page: Rows,
      /** Cursor of the next page; null: this was the last. */
      next: z.string().nullable(),
    }),
    errors: ["not_frozen"],
    summary: "Returns rows of a frozen workspace, about 500,000 characters a page: all but its tokens.",
    example: { freeze: 1 },
  }),
  "workspace.import": declare("admin", "POST /import", {
    input: z.strictObject({
      /** Name of the whole import, so that one that was interrupted continues. */
      id: z.string().min(1).max(200),
      /** 0 begins. */
      part: counter,
      page: Rows.optional(),
      /** With the last part: rows by table, which must all be there. */
      counts: z.record(TableName, counter).optional(),
      quietMs,
    }),
    output: z.object({ /** Number of the part that comes next. */ next: counter, epoch: counter.nullable() }),
    errors: ["workspace_in_use", "quota_exceeded"],
    summary: "Fills an unused workspace with the rows of an export, part by part, and begins a new epoch.",
    isDestructive: true,
    maxBodyBytes: 16_777_216,
    example: { id: "w-1", part: 0 },
  }),
  "workspace.delete": declare("admin", "POST /delete", {
    input: z.strictObject({ name: Workspace.describe("its name, as a confirmation") }),
    output: z.object({ isDeleted: z.literal(true) }),
    summary: "Deletes the workspace with everything that is stored, its tokens too, for good.",
    effect: "free",
    isDestructive: true,
    example: { name: "another" },
  }),
  "tokens.create": declare("admin", "POST /tokens", {
    input: z.strictObject({
      machine: Label.describe("the machine it is for"),
      scope: Scope.default("work"),
      ttlMs: z
        .int()
        .min(60_000)
        .max(31_536_000_000)
        .optional()
        .meta({ form: "duration", description: "how long it is valid; default: until it is revoked" }),
      requestId: Id.optional(),
    }),
    output: z.object({ id: Id, /** Shown once, stored only as a hash. */ token: z.string() }),
    errors: ["quota_exceeded", "key_reused"],
    summary: "Creates a token for one machine.",
  }),
  "tokens.renew": declare("observe", "POST /tokens/renew", {
    output: z.object({ token: z.string() }),
    summary:
      "Signs the caller's token with the present signing secret; the earlier signature is valid as long as its secret.",
    effect: "keep",
  }),
  "tokens.list": declare("admin", "GET /tokens", {
    output: z.object({ tokens: z.array(TokenInfo) }),
    summary: "Lists all tokens, without their secrets.",
    surfaces: ["page"],
  }),
  "tokens.revoke": declare("admin", "POST /tokens/revoke", {
    input: z.strictObject({ id: Id }),
    output: z.object({ isRevoked: z.boolean() }),
    errors: ["unknown_token"],
    summary: "Revokes a token and closes its sockets.",
    effect: "free",
    isDestructive: true,
    surfaces: ["page"],
    example: { id: "tok_unknown" },
  }),
  metrics: declare("observe", "GET /metrics/samples", {
    output: z.object({
      /** Samples of the metrics with the source `workspace`. */
      samples: z.array(
        z.object({
          name: z.enum(Object.keys(metrics) as [MetricName, ...MetricName[]]),
          labels: z.record(z.string(), z.string()),
          value: z.number(),
        }),
      ),
    }),
    summary: "Returns the metrics of the workspace; `/metrics` has them as Prometheus text.",
  }),
  health: declare("observe", "GET /health", {
    output: z.object({
      /** Time until the alarm; null: none is set; below 0: late. */
      alarmInMs: z.number().nullable(),
      overdueRows: counter,
      /** Tokens on their way to the queue: one at most. */
      outboxDepth: counter.default(0),
      sockets: counter,
      chats: counter,
      schemaVersion: z.int(),
      epoch: counter,
      revision: counter,
      protocol: z.int(),
      /** Hand-overs and phones, and the characters that are reserved for them. */
      boxes: z.object({ count: counter, chars: counter }).default({ count: 0, chars: 0 }),
      /** With that of boxes; null: unmeasured. `full`: growth is refused until something goes. */
      storage: z
        .object({ bytes: counter, limitBytes: counter, state: z.enum(["normal", "full"]) })
        .nullable()
        .default(null),
      /** Rows written in the present month (UTC), which Cloudflare bills; null: not counted. */
      rowsThisMonth: counter.nullable().default(null),
      /** Time for which it is read only; 0: it is not; null: until its import is complete. */
      frozenForMs: durationMs.nullable().default(0),
    }),
    summary: "Returns the armed alarm, overdue rows, sockets and versions.",
    surfaces: ["page"],
  }),
} as const;
