import * as z from "zod/mini";
import { hookClients } from "./clients.ts";
import { holdMs } from "./hook-limits.ts";
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

/** Titles leave the machine only encrypted, so plain http is for this machine only. */
function isWebhook(text: string): boolean {
  return /^(https:\/\/[\w.-]+|http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\]))(:\d{1,5})?([/?]\S*)?$/i.test(text);
}

/** `config.json`. zod/mini, and built only when the file exists: the hook loads this. */

const dayMs = 86_400_000;
/** Bytes, below a coordinator's limit for one bundle (`maxFileParts`). */
const mostFilesBytes = 64_000_000;

class Setting<Value> {
  readonly usual: Value;
  readonly schema: () => z.ZodMiniType<Value>;

  constructor(usual: Value, schema: () => z.ZodMiniType<Value>) {
    this.usual = usual;
    this.schema = schema;
  }
}

function setting<Value>(usual: Value, schema: () => z.ZodMiniType<Value>): Setting<Value> {
  return new Setting(usual, schema);
}

const count = (usual: number): Setting<number> => setting(usual, () => z.int().check(z.positive()));
const within = (usual: number, least: number, most: number): Setting<number> =>
  setting(usual, () => z.int().check(z.minimum(least), z.maximum(most)));
const share = (usual: number): Setting<number> => setting(usual, () => z.number().check(z.minimum(0), z.maximum(1)));
const toggle = (usual: boolean): Setting<boolean> => setting(usual, () => z.boolean());

function choice<const Value extends string>(usual: Value, ...others: readonly Value[]): Setting<Value> {
  return setting(usual, () => z.enum([usual, ...others]) as z.ZodMiniType<Value>);
}

function list<Value>(usual: Value[], most: number, item: () => z.ZodMiniType<Value>): Setting<Value[]> {
  return setting(usual, () => z.array(item()).check(z.maxLength(most)));
}

/** Defaults and bounds. Times in ms, sizes in bytes, shares 0 to 1. */
const settings = {
  /** SessionStart after a session died: ask, give the brief, or have the chat continue at once. */
  recovery: choice("brief", "ask", "resume"),
  /** Older incomplete sessions are listed, not offered. */
  offerMaxAgeMs: count(7 * dayMs),
  risk: { thresholds: { contextFill: share(0.75), sinceCheckpointMs: count(480_000), memory: share(0.8) } },
  checkpoint: {
    everyToolCalls: count(10),
    everyMs: count(300_000),
    /** Tools that get a checkpoint with files before they run; `*` is a wildcard. */
    beforeTools: list<string>([], 50, () => text(200)),
    /**
     * Shell commands that get the same: words in this order, `|` between alternatives of a word,
     * `*` as wildcard.
     */
    beforeCommands: list(savedCommands, 200, () => filledText(200)),
    maxBytes: count(1_048_576),
  },
  /** Commands that cannot be undone. */
  effects: {
    /** Asks before one is repeated after a recovery. */
    guard: choice("off", "on"),
    /**
     * More of them: `words` as in `checkpoint.beforeCommands`, but the program first; `kind`;
     * `unless`: words with which it does nothing; `check`: a command by which you find out.
     */
    commands: list<EffectCommand>([], 100, effectSchema),
  },
  /** Newest prompts that a brief may quote, besides the first. */
  brief: { prompts: within(50, 6, 200) },
  snapshots: {
    isEnabled: toggle(true),
    maxFileBytes: count(1_048_576),
    maxTotalBytes: count(268_435_456),
    timeoutMs: count(10_000),
  },
  sync: {
    files: toggle(false),
    /** Maximum packed size of a session's files; larger ones stay on their machine. */
    maxFilesBytes: within(8_388_608, 1, mostFilesBytes),
  },
  retention: {
    maxAgeMs: count(30 * dayMs),
    checkpointsPerSession: count(150),
    maxBytes: count(1_073_741_824),
    backups: count(5),
  },
  team: {
    /** Off: the chat registers with no coordinator and has the tools of a lone chat. */
    isEnabled: toggle(true),
    /** Refuses an edit of a file that is reserved in another checkout; otherwise a warning. */
    strictFiles: toggle(false),
    /** Merges the work trees of a repository's chats after edits, and tells them of conflicts. */
    conflicts: toggle(true),
    maxContinuationsPerHour: within(3, 0, 60),
    capabilities: list<string>([], 50, () => z.string().check(z.regex(/^[^\p{Cc}]{1,200}$/u))),
    capacity: within(1, 0, 100),
  },
  notify: {
    desktop: toggle(false),
    webhook: setting<string | null>(null, () =>
      z.nullable(
        text(2_000).check(z.refine(isWebhook, { error: "an https address, or an http address of this machine" })),
      ),
    ),
    events: setting<readonly NotifyEvent[]>([...notifyEvents], () => z.readonly(z.array(z.enum(notifyEvents)))),
  },
  /** Answers to permission requests from elsewhere than the chat's terminal. */
  answers: {
    /** Off: no request is held, and the terminal alone answers. */
    isEnabled: toggle(false),
    /** How long a client whose dialog waits for the hook is held; 0: not at all. */
    holdDialogSeconds: within(0, 0, holdMs / 1_000),
  },
  /** Projects in which clients may be started from elsewhere; none: nothing is started. */
  runs: setting<readonly RunRule[]>([], runRules),
  /** Rules by folder for chats that stop at a usage limit; nothing happens without one. */
  atLimit: setting<readonly LimitRule[]>([], limitRules),
  usage: {
    /** Prices by model id without its date, for clients that report no cost; SHIM knows none. */
    prices: setting<Record<string, ModelPrices>>({}, () => z.record(filledText(200), modelPrices())),
    pricesAsOf: setting<string | null>(null, () => z.nullable(z.string().check(z.regex(/^\d{4}-\d{2}-\d{2}$/)))),
  },
  /** Daily review of the records: none, a report only, or also trials of settings. */
  kaizen: choice("report", "off", "apply"),
  experiments: {
    /** Assigns sessions to the arms of a trial: SHIM itself, or a service. */
    provider: choice("local", "statsig"),
    /** Longest wait of a session's start for a service. */
    waitMs: within(1_000, 100, 3_000),
    /** Path of a file of rules. Null: live, with a key. */
    statsigRules: setting<string | null>(null, () => z.nullable(filledText(1_000))),
    /** Environment variable that has Statsig's key, which has a hyphen: none passes for a name. */
    statsigKeyEnv: setting<string | null>(null, () => z.nullable(z.string().check(z.regex(/^[A-Za-z_]\w{0,99}$/)))),
  },
  analysis: {
    /** Absolute paths of folders whose code the tools of `shim code analyze` may run. */
    trusted: list<string>([], 1_000, () => filledText(4_096)),
  },
};

function effectSchema(): z.ZodMiniType<EffectCommand> {
  return z.strictObject({
    words: text(200).check(z.regex(/\S/)),
    kind: z.enum(effectKindNames),
    unless: z.optional(text(200)),
    check: z.optional(text(200)),
  });
}

/** US dollars per million tokens. */
function modelPrices() {
  const price = z.number().check(z.minimum(0), z.maximum(100_000));
  return z.strictObject({ input: price, output: price, cacheRead: price, cacheWrite: price });
}
export type ModelPrices = Readonly<z.infer<ReturnType<typeof modelPrices>>>;

type Values<Part> = Part extends Setting<infer Value> ? Value : { [Key in keyof Part]: Values<Part[Key]> };
export type Config = Values<typeof settings>;
export type RecoverySetting = Config["recovery"];

export const defaults = valuesOf(settings) as Config;

/** Refuses unknown keys, so that a typing error is seen. */
export function configSchema(): z.ZodMiniType<Config> {
  return schemaOf(settings) as z.ZodMiniType<Config>;
}

function valuesOf(part: object): unknown {
  if (part instanceof Setting) return part.usual;
  return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, valuesOf(inner as object)]));
}

function schemaOf(part: object): z.ZodMiniType {
  if (part instanceof Setting) return z._default(part.schema(), part.usual);
  const fields = Object.entries(part).map(([name, inner]) => [name, schemaOf(inner as object)] as const);
  return z.prefault(z.strictObject(Object.fromEntries(fields)), {});
}

function text(maxChars: number) {
  return z.string().check(z.maxLength(maxChars));
}

/** Rules for chats at a usage limit. zod/mini: the hooks load it with the settings. */

/** A usage limit that a client has recorded by a code. Stored: add fields as optional. */
export interface UsageLimit {
  /** Epoch ms of its end; null: not recorded. */
  readonly resetsAtMs: number | null;
}

/** A project in which the host starts clients for a phone, the page or `shim runs`. */
export type RunRule = z.infer<ReturnType<typeof runRules>>[number];

function runRules() {
  const args = z.array(z.string().check(z.maxLength(10_000))).check(z.maxLength(100));
  return z
    .array(
      z.strictObject({
        project: absoluteFolder(),
        /** Its end, as an ISO time; absent: until it is taken out. */
        until: z.optional(z.iso.datetime({ offset: true })),
        /** Options that each client gets, such as those for its permissions. */
        args: z.optional(z.partialRecord(z.enum(hookClients), args)),
      }),
    )
    .check(z.maxLength(100));
}

function absoluteFolder() {
  const error = "a rule names an absolute folder";
  return filledText(4_096).check(z.refine((path) => /^([/\\]|[A-Za-z]:[\\/])/.test(path), { error }));
}

/** Ways in the order of preference. */
export type LimitRule = z.infer<ReturnType<typeof limitRules>>[number];
export type ActiveLimitRule = Exclude<LimitRule, { readonly order: "off" }>;
/** One way to go on at a usage limit. */
export type LimitStep = ActiveLimitRule["order"][number];

export function limitRules() {
  /** The deepest one that holds a chat's counts. */
  const folder = absoluteFolder();
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
