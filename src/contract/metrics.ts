import { hookEvents } from "./hook-input.ts";
import type { ChatStatus } from "./chats.ts";
import type { CrashCause, RiskLevel } from "./readings.ts";
import type { AttemptEnd, DeathReason, TaskState } from "./tasks.ts";

/** The one declaration of all metrics: exposition, documentation, dashboards and alerts follow it. */
export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  /** Base unit of the value, also in the name; null: a plain number. */
  readonly unit: "seconds" | "bytes" | "ratio" | "dollars" | null;
  /** What it describes: the chats of one machine, or one workspace of a coordinator. */
  readonly source: "machine" | "workspace";
  /** Row of the dashboard. */
  readonly group: string;
  readonly help: string;
  /** All values of each label. Any other value counts as `other`: an id never becomes a label. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  /** Upper bounds of a histogram's buckets, in its unit, rising. */
  readonly buckets?: readonly number[];
}

export const other = "other";

// Types only: the hook process loads this file, and must not load the schemas of operations.
const causes = [
  "closed",
  "killed",
  "out_of_memory",
  "context_full",
  "usage_limit",
  "unknown",
] as const satisfies readonly CrashCause[];
const riskLevels = ["safe", "warning", "danger", "critical"] as const satisfies readonly RiskLevel[];
const chatStatuses = ["idle", "busy", "stuck", "draining", "offline"] as const satisfies readonly ChatStatus[];
const openStates = [
  "blocked",
  "scheduled",
  "queued",
  "assigned",
  "running",
  "dead",
] as const satisfies readonly TaskState[];
const deathReasons = [
  "failed",
  "poison",
  "expired",
  "dependency",
  "budget_exceeded",
  "discarded",
] as const satisfies readonly DeathReason[];
const attemptEnds = [
  "failed",
  "timeout",
  "stalled",
  "chat_offline",
  "chat_left",
  "not_started",
  "released",
  "cancelled",
  "moved",
  "budget_exceeded",
] as const satisfies readonly AttemptEnd[];
const triggers = ["risk", "tools", "time", "compact", "before_tool", "model_switch", "turn_end", "session_end"];
const clients = ["claude-code", "claude-ai", "claude-desktop", "cursor", "vscode", "codex", "opencode", "gemini"];
const families = ["opus", "sonnet", "haiku", "fable", "mythos", "gpt", "gemini"];
const riskInputs = ["contextFill", "contextTokens", "sinceCheckpointMs", "hostMemory", "rateLimit", "toolErrors"];
const auditKinds = ["chat.registered", "chat.offline", "lease.granted", "lease.expired", "lease.forced"];
const rareAuditKinds = ["settings.changed", "epoch.raised", "token.created", "token.revoked", "sweep.failed"];

/** [OB3] The bounds 0.1 and 0.5 s are those of a save and of a recovery. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const machine = { source: "machine" } as const;
const workspace = { source: "workspace" } as const;
const counter = { type: "counter", unit: null } as const;
const gauge = { type: "gauge", unit: null } as const;
const age = { type: "gauge", unit: "seconds" } as const;
const share = { type: "gauge", unit: "ratio" } as const;
const duration = { type: "histogram", unit: "seconds", buckets: durationBuckets } as const;

const sessionMetrics = {
  shim_sessions: {
    ...gauge,
    ...machine,
    group: "Chats",
    help: "Chats that are alive, by what they do.",
    labels: { activity: ["busy", "waiting", "idle", "stuck"] },
  },
  shim_sessions_recoverable: {
    ...gauge,
    ...machine,
    group: "Chats",
    help: "Sessions that died with work and were neither continued nor dismissed.",
  },
  shim_sessions_at_risk: {
    ...gauge,
    ...machine,
    group: "Chats",
    help: "Live chats by the level of their crash risk.",
    labels: { level: riskLevels },
  },
  shim_session_risk_ratio: { ...share, ...machine, group: "Chats", help: "Highest crash risk of a live chat." },
  shim_risk_reasons: {
    ...gauge,
    ...machine,
    group: "Chats",
    help: "Live chats whose crash risk is raised for a reason.",
    labels: { reason: [...riskInputs, "latencyTrend", "apiErrors", "transcriptBytes"] },
  },
  shim_context_fill_ratio: {
    ...share,
    ...machine,
    group: "Chats",
    help: "Highest share of the context window that a live chat uses.",
  },
  shim_usage_limit_ratio: {
    ...share,
    ...machine,
    group: "Chats",
    help: "Highest used share of a usage limit that the client reported.",
  },
  shim_unsaved_age_seconds: {
    ...age,
    ...machine,
    group: "Chats",
    help: "Longest time that a live chat has had events which are in no checkpoint.",
  },
  shim_tool_calls_total: { ...counter, ...machine, group: "Chats", help: "Tool calls of all sessions." },
  shim_tool_errors_total: { ...counter, ...machine, group: "Chats", help: "Tool calls that failed." },
} as const satisfies Record<string, MetricDefinition>;

const safetyMetrics = {
  shim_checkpoints_total: {
    ...counter,
    ...machine,
    group: "Checkpoints",
    help: "Checkpoints that were stored, by what caused them.",
    labels: { trigger: [...triggers, "detached", "on_demand"] },
  },
  shim_checkpoint_bytes_total: {
    ...counter,
    ...machine,
    unit: "bytes",
    group: "Checkpoints",
    help: "Bytes of the states in all checkpoints, before compression.",
  },
  shim_redactions_total: {
    ...counter,
    ...machine,
    group: "Checkpoints",
    help: "Secrets that were removed from the notes of checkpoints.",
  },
  shim_save_duration_seconds: {
    ...duration,
    ...machine,
    group: "Checkpoints",
    help: "Time to store a checkpoint, from reading the journal to the durable commit.",
  },
  shim_hook_duration_seconds: {
    ...duration,
    ...machine,
    group: "Checkpoints",
    help: "Time to store and answer a hook event, measured in the process that answers.",
    labels: { event: hookEvents },
  },
  shim_snapshots: {
    ...gauge,
    ...machine,
    group: "Checkpoints",
    help: "Stored snapshots of files, by state.",
    labels: { state: ["pending", "running", "done", "skipped", "failed"] },
  },
  shim_deaths_total: {
    ...counter,
    ...machine,
    group: "Deaths and recovery",
    help: "Sessions that died with work, by cause and client.",
    labels: { cause: causes, client: clients },
  },
  shim_unsaved_tool_calls_total: {
    ...counter,
    ...machine,
    group: "Deaths and recovery",
    help: "Tool calls that were in no checkpoint when their session died; the journal has them.",
  },
  shim_recoveries_total: {
    ...counter,
    ...machine,
    group: "Deaths and recovery",
    help: "What became of sessions that died: offered, taken, recovered, undone, dismissed.",
    labels: { action: ["offered", "taken", "recovered", "undone", "dismissed", "finished"] },
  },
  shim_restore_score_ratio: {
    type: "histogram",
    unit: "ratio",
    ...machine,
    group: "Deaths and recovery",
    buckets: [0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1],
    help: "Restore score of the briefs that were offered: the share of the work that is known and verified.",
  },
  shim_recovery_duration_seconds: {
    ...duration,
    ...machine,
    group: "Deaths and recovery",
    help: "Time to find a session that died and to write its brief.",
  },
  shim_rediscoveries_total: {
    ...counter,
    ...machine,
    group: "Deaths and recovery",
    help: "Work that a chat repeated although its brief had the result, counted until its first edit.",
    labels: { kind: ["reads", "repeats"] },
  },
} as const satisfies Record<string, MetricDefinition>;

const machineMetrics = {
  shim_tokens_total: {
    ...counter,
    ...machine,
    group: "Cost",
    help: "Tokens of model responses, by family of models.",
    labels: { model: families, kind: ["input", "output", "cache_read", "cache_write"] },
  },
  shim_cost_dollars_total: {
    ...counter,
    unit: "dollars",
    ...machine,
    group: "Cost",
    help: "Cost as the client reports it, by family of models.",
    labels: { model: families },
  },
  shim_cost_today_dollars: {
    type: "gauge",
    unit: "dollars",
    ...machine,
    group: "Cost",
    help: "Cost of the present UTC day, with estimates by your prices where the client reports none.",
  },
  shim_sync_backlog_changes: {
    ...gauge,
    ...machine,
    group: "Sync and store",
    help: "Changes that the coordinator has not yet acknowledged.",
  },
  shim_sync_backlog_age_seconds: {
    ...age,
    ...machine,
    group: "Sync and store",
    help: "Age of the oldest change that the coordinator has not yet acknowledged.",
  },
  shim_queued_calls: {
    ...gauge,
    ...machine,
    group: "Sync and store",
    help: "Calls to the coordinator that wait until it can be reached.",
  },
  shim_spool_files: {
    ...gauge,
    ...machine,
    group: "Sync and store",
    help: "Files of hook events that the store could not take yet.",
  },
  shim_notices: {
    ...gauge,
    ...machine,
    group: "Sync and store",
    help: "Problems that wait to be acknowledged with shim doctor.",
  },
  shim_store_bytes: {
    ...gauge,
    unit: "bytes",
    ...machine,
    group: "Sync and store",
    help: "Size of the machine's database with its log.",
  },
  shim_store_schema_version: {
    ...gauge,
    ...machine,
    group: "Sync and store",
    help: "Version of the machine's database schema.",
  },
} as const satisfies Record<string, MetricDefinition>;

const teamMetrics = {
  shim_chats: {
    ...gauge,
    ...workspace,
    group: "Team",
    help: "Registered chats, by status.",
    labels: { status: chatStatuses },
  },
  shim_chat_slots: { ...gauge, ...workspace, group: "Team", help: "Chats that the workspace admits at once." },
  shim_sockets: { ...gauge, ...workspace, group: "Team", help: "Open connections." },
  shim_leases: { ...gauge, ...workspace, group: "Team", help: "Leases that are held." },
  shim_lease_waiters: { ...gauge, ...workspace, group: "Team", help: "Requests that wait for a lease." },
  shim_leader_changes_total: { ...counter, ...workspace, group: "Team", help: "Elections that a chat has won." },
  shim_messages_total: { ...counter, ...workspace, group: "Team", help: "Messages that were sent." },
  shim_messages: { ...gauge, ...workspace, group: "Team", help: "Messages that are stored." },
  shim_state_keys: { ...gauge, ...workspace, group: "Team", help: "Keys of the shared state." },
  shim_workspace_events_total: {
    ...counter,
    ...workspace,
    group: "Team",
    help: "Entries of the audit log, by kind.",
    labels: { kind: [...auditKinds, ...rareAuditKinds, "session.taken", "session.given-back"] },
  },
} as const satisfies Record<string, MetricDefinition>;

const taskMetrics = {
  shim_tasks: {
    ...gauge,
    ...workspace,
    group: "Tasks",
    help: "Stored tasks, by state; ended: done or cancelled.",
    labels: { state: [...openStates, "ended"] },
  },
  shim_task_oldest_queued_seconds: {
    ...age,
    ...workspace,
    group: "Tasks",
    help: "Time since the submission of the oldest task that is queued.",
  },
  shim_task_wait_seconds: {
    ...age,
    ...workspace,
    group: "Tasks",
    help: "Time from queued to assigned, of the newest tasks (10,000 at most).",
    labels: { percentile: ["50", "95"] },
  },
  shim_task_run_seconds: {
    ...age,
    ...workspace,
    group: "Tasks",
    help: "Time from start to end of the newest done tasks (10,000 at most).",
    labels: { percentile: ["50", "95"] },
  },
  shim_tasks_submitted_total: { ...counter, ...workspace, group: "Tasks", help: "Tasks that were submitted." },
  shim_task_attempts_total: {
    ...counter,
    ...workspace,
    group: "Tasks",
    help: "Attempts that ended without a result, by how.",
    labels: { end: attemptEnds },
  },
  shim_task_ends_total: {
    ...counter,
    ...workspace,
    group: "Tasks",
    help: "Tasks that ended, by outcome; a replayed one ends again.",
    labels: { outcome: ["done", "dead", "cancelled"] },
  },
  shim_task_replays_total: {
    ...counter,
    ...workspace,
    group: "Tasks",
    help: "Dead tasks that were replayed.",
  },
  shim_dead_tasks: {
    ...gauge,
    ...workspace,
    group: "Tasks",
    help: "Dead tasks that wait for a decision, by reason.",
    labels: { reason: deathReasons },
  },
  shim_task_tokens_total: { ...counter, ...workspace, group: "Tasks", help: "Tokens that tasks reported." },
  shim_task_cost_dollars_total: {
    ...counter,
    unit: "dollars",
    ...workspace,
    group: "Tasks",
    help: "Cost that tasks reported.",
  },
  shim_day_budget_ratio: {
    ...share,
    ...workspace,
    group: "Tasks",
    help: "Used share of the budget of the UTC day; missing where no budget is set.",
    labels: { limit: ["wallMs", "tokens", "costMicros"] },
  },
} as const satisfies Record<string, MetricDefinition>;

const coordinatorMetrics = {
  shim_outbox_tokens: {
    ...gauge,
    ...workspace,
    group: "Coordinator",
    help: "Dispatch tokens on their way through the queue: one at most.",
  },
  shim_alarm_late_seconds: {
    ...age,
    ...workspace,
    group: "Coordinator",
    help: "How late the alarm is; 0 where it is on time.",
  },
  shim_overdue_rows: { ...gauge, ...workspace, group: "Coordinator", help: "Rows whose due time has passed." },
  shim_storage_bytes: {
    ...gauge,
    unit: "bytes",
    ...workspace,
    group: "Coordinator",
    help: "Size of the workspace's database.",
  },
  shim_storage_used_ratio: {
    ...share,
    ...workspace,
    group: "Coordinator",
    help: "Used share of the workspace's storage limit.",
  },
  shim_synced_sessions: {
    ...gauge,
    ...workspace,
    group: "Coordinator",
    help: "Sessions of which the workspace stores an encrypted copy.",
  },
  shim_synced_bytes: {
    ...gauge,
    unit: "bytes",
    ...workspace,
    group: "Coordinator",
    help: "Characters of the encrypted copies of sessions, one byte each.",
  },
  shim_workspace_schema_version: {
    ...gauge,
    ...workspace,
    group: "Coordinator",
    help: "Version of the workspace's database schema.",
  },
} as const satisfies Record<string, MetricDefinition>;

export const metrics = {
  ...sessionMetrics,
  ...safetyMetrics,
  ...machineMetrics,
  ...teamMetrics,
  ...taskMetrics,
  ...coordinatorMetrics,
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof metrics;

export type Labels = Readonly<Record<string, string>>;

/** One value. Of a histogram: the observations between two bounds, and the sum of their values. */
export interface Sample {
  readonly name: MetricName;
  readonly labels: Labels;
  readonly value: number;
  /** Upper bound of a histogram's bucket; null: above the last. */
  readonly bucket?: number | null;
  /** Sum of the values in the bucket. */
  readonly sum?: number;
}

export function definitionOf(name: MetricName): MetricDefinition {
  return metrics[name];
}

/** Pure. Family of a model, for a label: the names of models are not a closed set. */
export function modelFamily(model: string): string {
  return families.find((family) => model.includes(family)) ?? other;
}
