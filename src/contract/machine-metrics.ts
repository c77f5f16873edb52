import { hookClients } from "./clients.ts";
import { experimentMetrics } from "./experiment-metrics.ts";
import { hookEvents } from "./hook-input.ts";
import { age, counter, duration, gauge, share, type MetricDefinition } from "./metric-definition.ts";
import { opportunityPatterns } from "./opportunities.ts";
import type { CrashCause, RiskLevel } from "./readings.ts";

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
const automatic = [
  "risk",
  "tools",
  "time",
  "compact",
  "before_tool",
  "turn",
  "model_switch",
  "turn_end",
  "session_end",
];
const triggers = [...automatic, "detached", "on_demand", "undo"];
const clients = [...hookClients, "claude-ai", "claude-desktop"];
const riskInputs = ["contextFill", "contextTokens", "sinceCheckpointMs", "hostMemory", "rateLimit", "toolErrors"];
export const modelFamilies = ["opus", "sonnet", "haiku", "fable", "mythos", "gpt", "gemini"];

const machine = { source: "machine" } as const;

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
    labels: { trigger: triggers },
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
    help: "Time to store and answer a hook event.",
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
    help: "Recovery events of dead sessions, one per offer, continuation or decision; a session may have several.",
    labels: { action: ["offered", "taken", "recovered", "undone", "dismissed"] },
  },
  shim_restore_score_ratio: {
    type: "histogram",
    unit: "ratio",
    ...machine,
    group: "Deaths and recovery",
    buckets: [0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1],
    help: "Score of the briefs that were offered: the mean of prompts quoted, the end of the conversation there, and files as left.",
  },
  shim_recovery_duration_seconds: {
    ...duration,
    ...machine,
    group: "Deaths and recovery",
    help: "Time to find a session that died and to write its brief.",
  },
} as const satisfies Record<string, MetricDefinition>;

const supervisorMetrics = {
  shim_supervisor_programs: {
    ...gauge,
    ...machine,
    group: "Supervisor",
    help: "Programs in the supervisor's settings; waiting: for their next start; looping: crashed too often to be started again; unwatched: no supervisor runs.",
    labels: { phase: ["running", "waiting", "finished", "stopped", "failed", "looping", "unwatched"] },
  },
  shim_supervisor_restarts_total: {
    ...counter,
    ...machine,
    group: "Supervisor",
    help: "Programs and chats that the supervisor has started again, by what ended them before; left: ended with an earlier supervisor; asked: by the user.",
    labels: { reason: ["crashed", "limited", "left", "asked"] },
  },
} as const satisfies Record<string, MetricDefinition>;

const machineMetrics = {
  shim_tokens_total: {
    ...counter,
    ...machine,
    group: "Cost",
    help: "Tokens of model responses, by family of models.",
    labels: { model: modelFamilies, kind: ["input", "output", "cache_read", "cache_write"] },
  },
  shim_cost_dollars_total: {
    ...counter,
    unit: "dollars",
    ...machine,
    group: "Cost",
    help: "Cost as the client reports it, by family of models.",
    labels: { model: modelFamilies },
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
  shim_opportunities: {
    ...gauge,
    ...machine,
    group: "Opportunities",
    help: "Findings of the last shim report opportunities, by pattern.",
    labels: { pattern: opportunityPatterns },
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

export const metricsOfMachine = {
  ...sessionMetrics,
  ...safetyMetrics,
  ...supervisorMetrics,
  ...machineMetrics,
  ...experimentMetrics,
} as const;
