import * as z from "zod/mini";
import { notifyDefaults, notifyShape } from "./notify.ts";

/** `config.json`. zod/mini, and built only when there is such a file: the hook loads this. */

const dayMs = 86_400_000;
/** Below what a coordinator takes in one bundle (`maxFileParts`), in bytes. */
const mostFilesBytes = 64_000_000;

/** US dollars for a million tokens. */
export interface ModelPrices {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

export type RecoverySetting = "ask" | "brief" | "resume";
export type WakeSetting = "hooks" | "socket";

/** What holds where the file says nothing. Times in ms, sizes in bytes, shares 0 to 1. */
export const defaults = {
  /** What SessionStart does with a session that died: only ask, hand over the brief, or tell the chat to go on at once. */
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
      transcriptSize: 0.1,
    },
    thresholds: {
      /** Fill of the effective context window. */
      contextFill: 0.75,
      /** Used instead of contextFill where the window is unknown. */
      contextTokens: 150_000,
      sinceCheckpointMs: 480_000,
      /** Share of the memory that is available to the machine. */
      memory: 0.8,
      rateLimit: 0.9,
      toolErrors: 0.3,
      /** Newest tool latencies against the session's usual one. */
      latencyTrend: 3,
      transcriptBytes: 50_000_000,
    },
    levels: { warning: 0.3, danger: 0.6, critical: 0.8 },
  },
  checkpoint: {
    everyToolCalls: 10,
    everyMs: 300_000,
    /** Tool names, `*` as wildcard; a checkpoint with files is taken before they run. */
    beforeTools: [] as string[],
    /**
     * Shell commands that get the same: command and subcommands in their order, then options that must be there, `|` between alternatives, `*` as
     * wildcard; `text:` is found anywhere, without case.
     */
    beforeCommands: [
      "git push -f|--force|--force-with-lease|--mirror|--delete",
      "git push * +*",
      "git reset --hard",
      "git clean -f|--force",
      "git checkout --",
      "git checkout .",
      "git checkout -f|--force",
      "git switch -f|--force|--discard-changes",
      "git restore",
      "git stash drop|clear",
      "git branch -D",
      "git rebase",
      "git filter-branch|filter-repo",
      "git worktree remove",
      "rm -r|-R|--recursive",
      "find -delete",
      "shred|dropdb|mkfs*",
      "dd of=*",
      "prisma migrate|db",
      "knex|sequelize|sequelize-cli|typeorm|drizzle-kit migrat*|db:*|push",
      "rails|rake db:*",
      "alembic upgrade|downgrade",
      "flyway migrate|clean|undo",
      "liquibase update|rollback|drop-all",
      "dbmate|goose up|down|drop|migrate|reset",
      "npm|pnpm|yarn|bun run *migrat*",
      "yarn|pnpm|make *migrat*",
      "manage.py migrate|flush",
      "artisan migrate*|db:*",
      "terraform|tofu|terragrunt apply|destroy",
      "pulumi up|destroy",
      "cdk|sst|serverless|sls deploy|destroy|remove",
      "kubectl delete|drain|replace",
      "helm uninstall|delete|rollback",
      "docker|podman system|volume|image prune|rm",
      "docker|podman compose down -v|--volumes",
      "aws s3 rm|rb",
      "redis-cli flushall|flushdb|FLUSHALL|FLUSHDB",
      "text:drop table",
      "text:drop database",
      "text:drop schema",
      "text:truncate table",
      "text:delete from",
    ],
    /** Largest state of one checkpoint, before compression. */
    maxBytes: 1_048_576,
  },
  snapshots: { isEnabled: true, maxFileBytes: 1_048_576, maxTotalBytes: 268_435_456, timeoutMs: 10_000 },
  /** Of the workspace that this machine has joined. */
  sync: {
    /** Uncommitted files go there, too, sealed. */
    files: false,
    /** Files of a session that take more, packed, stay on their machine. */
    maxFilesBytes: 8_388_608,
  },
  retention: { maxAgeMs: 30 * dayMs, checkpointsPerSession: 50, maxBytes: 1_073_741_824, backups: 5 },
  team: {
    /** Off: the chat registers with nobody, and has the six tools of a chat that works alone. */
    isEnabled: true,
    /** Also refuses an edit of a file that is reserved in another checkout; else that is a warning. */
    strictFiles: false,
    /** How often in an hour a chat goes on by itself at the end of a turn, because there is news for it. */
    maxContinuationsPerHour: 3,
    /** How news reaches a chat: by its next hook; or, in Claude Code, also while it is idle, by its messaging socket. */
    wake: "hooks" as WakeSetting,
    /** What chats of this machine are capable of: they may take tasks that require it. A chat can state others. */
    capabilities: [] as string[],
    /** How many tasks a chat counts as able to have at a time. */
    capacity: 1,
  },
  /** How the user is notified of what happens in chats that nobody looks at. */
  notify: notifyDefaults,
  usage: {
    /** By model id without its date. Used where the client does not say what a chat has cost; SHIM itself knows no prices. */
    prices: {} as Record<string, ModelPrices>,
    /** When they were last compared with the provider's list, such as 2026-11-20. */
    pricesAsOf: null as string | null,
  },
  /** `shim init --todo-tools` has switched the client's to-do tools on; `shim uninstall` takes that back. */
  todoTools: false,
  /** The user's own status line command, run by `shim statusline` before its own part. */
  statusLine: null as string | null,
};
export type Config = typeof defaults;

/** Unknown keys are refused, so that a typing error is seen. */
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
    snapshots: section(defaults.snapshots, {
      isEnabled: z.boolean(),
      maxFileBytes: positive(),
      maxTotalBytes: positive(),
      timeoutMs: positive(),
    }),
    sync: section(defaults.sync, {
      files: z.boolean(),
      maxFilesBytes: z.int().check(z.positive(), z.maximum(mostFilesBytes)),
    }),
    retention: section(defaults.retention, {
      maxAgeMs: positive(),
      checkpointsPerSession: positive(),
      maxBytes: positive(),
      backups: positive(),
    }),
    team: section(defaults.team, {
      isEnabled: z.boolean(),
      strictFiles: z.boolean(),
      maxContinuationsPerHour: z.int().check(z.minimum(0), z.maximum(60)),
      wake: z.enum(["hooks", "socket"]),
      capabilities: z.array(z.string().check(z.regex(/^[^\p{Cc}]{1,200}$/u))).check(z.maxLength(50)),
      capacity: z.int().check(z.minimum(0), z.maximum(100)),
    }),
    notify: section(notifyDefaults, notifyShape()),
    usage: usageSchema(),
    todoTools: z.boolean(),
    statusLine: z.nullable(text(2_000)),
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
    weights: section(weights, {
      contextFill: share(),
      sinceCheckpoint: share(),
      memory: share(),
      rateLimit: share(),
      toolErrors: share(),
      latencyTrend: share(),
      transcriptSize: share(),
    }),
    thresholds: section(thresholds, {
      contextFill: share(),
      contextTokens: positive(),
      sinceCheckpointMs: positive(),
      memory: share(),
      rateLimit: share(),
      toolErrors: share(),
      latencyTrend: z.number().check(z.positive()),
      transcriptBytes: positive(),
    }),
    levels: section(levels, { warning: share(), danger: share(), critical: share() }),
  });
}

/** A field that is absent has its default; absent as a whole, the section has all of them. */
function section<Settings extends object>(
  usual: Settings,
  shape: { readonly [Key in keyof Settings]: z.ZodMiniType<Settings[Key]> },
): z.ZodMiniType<Settings> {
  const fields = Object.entries<z.ZodMiniType>(shape);
  const withDefaults = fields.map(([key, field]) => [key, z._default(field, usual[key as keyof Settings])]);
  // The type cannot tell that each field of the shape has a default now.
  const schema = z.strictObject(Object.fromEntries(withDefaults)) as unknown as z.ZodMiniType<
    Settings,
    Partial<Settings>
  >;
  return z.prefault(schema, {});
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
