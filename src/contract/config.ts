import * as z from "zod/mini";
import { hookClients } from "./clients.ts";
import { maxHoldSeconds } from "./hook-tool.ts";
import { type EffectCommand, effectKindNames } from "./effects.ts";

/** Before these shell commands a checkpoint with files is taken: `checkpoint.beforeCommands`. */
const savedCommands: string[] = [
  "git push -f|--force*|--mirror|--delete|-d|--prune|+*|:*",
  "git reset --hard",
  "git clean|restore|rebase|filter-branch|filter-repo",
  "git checkout --|.|-f|--force",
  "git switch -f|--force|--discard-changes",
  "git stash drop|clear",
  "git branch -d|--delete",
  "git reflog expire|delete",
  "git update-ref -d",
  "git worktree remove",
  "rm|rmdir|rd|ri|del|erase|remove-item -*r*|/s*|/*/s*",
  "rimraf|del-cli|shred|dropdb|mkfs*|format-volume|clear-disk",
  "find -delete",
  "dd of=*",
  "rsync --del*",
  "prisma|supabase|atlas|diesel|sqlx db|database|migrate|migration|schema",
  "knex|drizzle-kit migrate*|seed:run|push|drop",
  "sequelize*|typeorm* db:*|migration:*|schema:*",
  "wrangler d1 apply|delete",
  "alembic|dbmate|flyway|goose|liquibase|migrate up*|down*|drop*|migrate|clean|undo|repair|rollback*|redo|reset|force",
  "mix|rails|rake ecto.*|db:*",
  "dotnet* database update|drop",
  "manage.py|django-admin migrate|flush|reset_db",
  "artisan migrate*|db:*",
  "npm|pnpm|yarn|bun|deno|make|just|task *migrat*|db:push|db:reset|db:drop",
  "terraform|tofu|terragrunt|pulumi|cdk|sst|serverless|sls apply|up|deploy|destroy|remove",
  "kubectl delete|drain|replace",
  "helm uninstall|delete|rollback",
  "docker|podman system|volume|image prune|rm",
  "docker*|podman* down -v|--volumes",
  "aws rm|rb|--delete|delete-*|terminate-*",
  "gcloud|az|gh delete",
  "redis-cli flush*",
  "drop table|database|schema",
  "truncate table",
  "delete from",
];

/** Events of which the user can be notified. zod/mini: the hooks load it with the settings. */
export const notifyEvents = [
  "chat_died",
  "task_dead",
  "message_waiting",
  "risk_critical",
  "usage_limit",
  "conflict",
] as const;
export type NotifyEvent = (typeof notifyEvents)[number];

const notifyDefaults = {
  desktop: false,
  webhook: null as string | null,
  events: [...notifyEvents] as readonly NotifyEvent[],
};

/** Titles leave the machine only encrypted, so plain http is for this machine only. */
function isWebhook(text: string): boolean {
  return /^(https:\/\/[\w.-]+|http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\]))(:\d{1,5})?([/?]\S*)?$/i.test(text);
}

function notifyShape() {
  return {
    desktop: z.boolean(),
    webhook: z.nullable(
      z
        .string()
        .check(
          z.maxLength(2_000),
          z.refine(isWebhook, { error: "an https address, or an http address of this machine" }),
        ),
    ),
    events: z.readonly(z.array(z.enum(notifyEvents))),
  };
}

/** `config.json`. zod/mini, and built only when the file exists: the hook loads this. */

const dayMs = 86_400_000;
/** Bytes, below a coordinator's limit for one bundle (`maxFileParts`). */
const mostFilesBytes = 64_000_000;

/** US dollars per million tokens. */
export interface ModelPrices {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

export type RecoverySetting = "ask" | "brief" | "resume";

/** Defaults. Times in ms, sizes in bytes, shares 0 to 1. */
export const defaults = {
  /** SessionStart after a session died: ask, give the brief, or have the chat continue at once. */
  recovery: "brief" as RecoverySetting,
  /** Older incomplete sessions are listed, not offered. */
  offerMaxAgeMs: 7 * dayMs,
  risk: {
    weights: {
      contextFill: 0.3,
      sinceCheckpoint: 0.4,
      memory: 0.3,
      rateLimit: 0.2,
      toolErrors: 0.1,
      latencyTrend: 0.1,
      apiErrors: 0.2,
      transcriptSize: 0.1,
    },
    thresholds: {
      contextFill: 0.75,
      contextTokens: 150_000,
      sinceCheckpointMs: 480_000,
      memory: 0.8,
      rateLimit: 0.9,
      toolErrors: 0.3,
      latencyTrend: 3,
      apiErrors: 2,
      transcriptBytes: 50_000_000,
    },
    levels: { warning: 0.3, danger: 0.6, critical: 0.8 },
  },
  checkpoint: {
    everyToolCalls: 10,
    everyMs: 300_000,
    /** Tools that get a checkpoint with files before they run; `*` is a wildcard. */
    beforeTools: [] as string[],
    /**
     * Shell commands that get the same: words in this order, `|` between alternatives of a word,
     * `*` as wildcard.
     */
    beforeCommands: savedCommands,
    maxBytes: 1_048_576,
  },
  /** Commands that cannot be undone. */
  effects: {
    /** Asks before one is repeated after a recovery. */
    guard: "off" as "off" | "on",
    /**
     * More of them: `words` as in `checkpoint.beforeCommands`, but the program first; `kind`;
     * `unless`: words with which it does nothing; `check`: a command by which you find out.
     */
    commands: [] as EffectCommand[],
  },
  /** Newest prompts that a brief may quote, besides the first. */
  brief: { prompts: 50 },
  snapshots: { isEnabled: true, maxFileBytes: 1_048_576, maxTotalBytes: 268_435_456, timeoutMs: 10_000 },
  sync: {
    files: false,
    /** Maximum packed size of a session's files; larger ones stay on their machine. */
    maxFilesBytes: 8_388_608,
  },
  retention: { maxAgeMs: 30 * dayMs, checkpointsPerSession: 150, maxBytes: 1_073_741_824, backups: 5 },
  team: {
    /** Off: the chat registers with no coordinator and has the six tools of a lone chat. */
    isEnabled: true,
    /** Refuses an edit of a file that is reserved in another checkout; otherwise a warning. */
    strictFiles: false,
    /** Claude Code refuses a tool call that could not be checked; `shim init` sets its hooks. */
    blockUnchecked: false,
    /** Merges the work trees of a repository's chats after edits, and tells them of conflicts. */
    conflicts: true,
    maxContinuationsPerHour: 3,
    capabilities: [] as string[],
    capacity: 1,
  },
  notify: notifyDefaults,
  /** Answers to permission requests from elsewhere than the chat's terminal. */
  answers: {
    /** Off: no request is held, and the terminal alone answers. */
    isEnabled: false,
    /** How long a client whose dialog waits for the hook is held; 0: not at all. */
    holdDialogSeconds: 0,
  },
  /** Rules by folder for chats that stop at a usage limit; nothing happens without one. */
  atLimit: [] as readonly LimitRule[],
  usage: {
    /** Prices by model id without its date, for clients that report no cost; SHIM knows none. */
    prices: {} as Record<string, ModelPrices>,
    pricesAsOf: null as string | null,
  },
  /** Daily review of the records: none, a report only, or also trials of settings. */
  kaizen: "report" as "off" | "report" | "apply",
  experiments: {
    /** Assigns sessions to the arms of a trial: SHIM itself, or a service. */
    provider: "local" as "local" | "statsig",
    /** Longest wait of a session's start for a service. */
    waitMs: 1_000,
    /** Path of a file of rules. Null: live, with a key. */
    statsigRules: null as string | null,
    /** Name of the environment variable that has Statsig's key. */
    statsigKeyEnv: null as string | null,
  },
  analysis: {
    /** Absolute paths of folders whose code the tools of `shim code analyze` may run. */
    trusted: [] as string[],
  },
};
export type Config = typeof defaults;

/** Refuses unknown keys, so that a typing error is seen. */
export function configSchema(): z.ZodMiniType<Config> {
  return section(defaults, {
    recovery: z.enum(["ask", "brief", "resume"]),
    offerMaxAgeMs: positive(),
    risk: riskSchema(),
    checkpoint: section(defaults.checkpoint, {
      everyToolCalls: positive(),
      everyMs: positive(),
      beforeTools: z.array(text(200)).check(z.maxLength(50)),
      beforeCommands: z.array(text(200).check(z.minLength(1))).check(z.maxLength(200)),
      maxBytes: positive(),
    }),
    effects: section(defaults.effects, {
      guard: z.enum(["off", "on"]),
      commands: z.array(effectSchema()).check(z.maxLength(100)),
    }),
    brief: section(defaults.brief, { prompts: z.int().check(z.minimum(6), z.maximum(200)) }),
    snapshots: section(defaults.snapshots, { ...each(defaults.snapshots, positive()), isEnabled: z.boolean() }),
    sync: section(defaults.sync, {
      files: z.boolean(),
      maxFilesBytes: z.int().check(z.positive(), z.maximum(mostFilesBytes)),
    }),
    retention: section(defaults.retention, each(defaults.retention, positive())),
    team: section(defaults.team, {
      ...each(defaults.team, z.boolean()),
      maxContinuationsPerHour: z.int().check(z.minimum(0), z.maximum(60)),
      capabilities: z.array(z.string().check(z.regex(/^[^\p{Cc}]{1,200}$/u))).check(z.maxLength(50)),
      capacity: z.int().check(z.minimum(0), z.maximum(100)),
    }),
    notify: section(notifyDefaults, notifyShape()),
    answers: section(defaults.answers, {
      isEnabled: z.boolean(),
      holdDialogSeconds: z.int().check(z.minimum(0), z.maximum(maxHoldSeconds)),
    }),
    atLimit: limitRules(),
    usage: usageSchema(),
    kaizen: z.enum(["off", "report", "apply"]),
    experiments: experimentsSchema(),
    analysis: section(defaults.analysis, {
      trusted: z.array(z.string().check(z.minLength(1), z.maxLength(4_096))).check(z.maxLength(1_000)),
    }),
  });
}

function effectSchema() {
  return z.strictObject({
    words: text(200).check(z.regex(/\S/)),
    kind: z.enum(effectKindNames),
    unless: z.optional(text(200)),
    check: z.optional(text(200)),
  });
}

function experimentsSchema() {
  return section(defaults.experiments, {
    provider: z.enum(["local", "statsig"]),
    waitMs: z.int().check(z.minimum(100), z.maximum(3_000)),
    statsigRules: z.nullable(text(1_000).check(z.minLength(1))),
    // A key has a hyphen, so none passes for a name.
    statsigKeyEnv: z.nullable(z.string().check(z.regex(/^[A-Za-z_]\w{0,99}$/))),
  });
}

function usageSchema() {
  const price = z.number().check(z.minimum(0), z.maximum(100_000));
  const prices = z.strictObject({ input: price, output: price, cacheRead: price, cacheWrite: price });
  return section(defaults.usage, {
    prices: z.record(z.string().check(z.minLength(1), z.maxLength(200)), prices),
    pricesAsOf: z.nullable(z.string().check(z.regex(/^\d{4}-\d{2}-\d{2}$/))),
  });
}

function riskSchema() {
  const { weights, thresholds, levels } = defaults.risk;
  return section(defaults.risk, {
    weights: section(weights, each(weights, share())),
    thresholds: section(thresholds, {
      ...each(thresholds, share()),
      contextTokens: positive(),
      sinceCheckpointMs: positive(),
      latencyTrend: z.number().check(z.positive()),
      apiErrors: positive(),
      transcriptBytes: positive(),
    }),
    levels: section(levels, each(levels, share())),
  });
}

function section<Settings extends object>(
  usual: Settings,
  shape: { readonly [Key in keyof Settings]: z.ZodMiniType<Settings[Key]> },
): z.ZodMiniType<Settings> {
  const fields = Object.entries<z.ZodMiniType>(shape);
  const withDefaults = fields.map(([key, field]) => [key, z._default(field, usual[key as keyof Settings])]);
  // The type does not show that each field of the shape has a default now.
  const schema = z.strictObject(Object.fromEntries(withDefaults)) as unknown as z.ZodMiniType<
    Settings,
    Partial<Settings>
  >;
  return z.prefault(schema, {});
}

/** The same for each field of a section. */
function each<Settings extends object, Field>(usual: Settings, field: Field): { [Key in keyof Settings]: Field } {
  return Object.fromEntries(Object.keys(usual).map((key) => [key, field])) as { [Key in keyof Settings]: Field };
}

function text(maxChars: number) {
  return z.string().check(z.maxLength(maxChars));
}

function positive() {
  return z.int().check(z.positive());
}

function share() {
  return z.number().check(z.minimum(0), z.maximum(1));
}

/** Rules for chats at a usage limit. zod/mini: the hooks load it with the settings. */

/** A usage limit that a client has recorded by a code. Stored: add fields as optional. */
export interface UsageLimit {
  /** Epoch ms of its end; null: not recorded. */
  readonly resetsAtMs: number | null;
}

/** Ways in the order of preference. */
export type LimitRule = z.infer<ReturnType<typeof limitRules>>[number];
export type ActiveLimitRule = Exclude<LimitRule, { readonly order: "off" }>;
/** One way to go on at a usage limit. */
export type LimitStep = ActiveLimitRule["order"][number];

export function limitRules() {
  /** The deepest one that holds a chat's counts. */
  const folder = filledText(4_096).check(
    z.refine((path) => /^([/\\]|[A-Za-z]:[\\/])/.test(path), { error: "a rule names an absolute folder" }),
  );
  const step = z.union([
    z.literal("wait"),
    /** Another one of Claude Code's. */
    z.strictObject({ model: filledText(200) }),
    z.strictObject({
      client: z.enum(hookClients),
      /** Absent: the client's own command. */
      program: z.optional(filledText(4_096)),
      args: z.optional(z.array(z.string().check(z.maxLength(10_000))).check(z.maxLength(1_000))),
    }),
  ]);
  const order = z.array(step).check(
    z.minLength(1),
    z.maxLength(10),
    z.refine((steps) => steps.slice(0, -1).every((one) => one !== "wait"), { error: "nothing comes after `wait`" }),
  );
  /** US dollars that the chats which the rule starts may use for one limit; null: no ceiling. */
  const mostUsd = z.nullable(z.number().check(z.minimum(0), z.maximum(100_000)));
  /** Since the limit was reached. */
  const mostHours = z.number().check(z.minimum(0.1), z.maximum(1_000));
  const off = z.strictObject({ folder, order: z.literal("off") });
  return z.array(z.union([off, z.strictObject({ folder, order, mostUsd, mostHours })])).check(z.maxLength(1_000));
}

function filledText(max: number) {
  return z.string().check(z.minLength(1), z.maxLength(max));
}
