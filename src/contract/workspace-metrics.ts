import type { ChatStatus } from "./chats.ts";
import { modelFamilies } from "./machine-metrics.ts";
import { age, counter, gauge, share, type MetricDefinition } from "./metric-definition.ts";
import type { AttemptEnd, DeathReason, TaskState } from "./tasks.ts";

// Types only: the hook process loads this file, and must not load the schemas of operations.
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
const auditKinds = ["chat.registered", "chat.offline", "lease.granted", "lease.expired", "lease.forced"];
const rareAuditKinds = [
  "settings.changed",
  "epoch.raised",
  "token.created",
  "token.revoked",
  "sweep.failed",
  "schedule.refused",
];

const workspace = { source: "workspace" } as const;

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
  shim_schedules: {
    ...gauge,
    ...workspace,
    group: "Tasks",
    help: "Schedules of tasks, by state.",
    labels: { state: ["active", "paused"] },
  },
  shim_schedule_times_total: {
    ...counter,
    ...workspace,
    group: "Tasks",
    help: "Times of schedules, by outcome.",
    labels: { outcome: ["submitted", "skipped", "refused"] },
  },
  shim_task_tokens_total: { ...counter, ...workspace, group: "Tasks", help: "Tokens that tasks reported." },
  shim_task_cost_dollars_total: {
    ...counter,
    unit: "dollars",
    ...workspace,
    group: "Tasks",
    help: "Cost that tasks reported.",
  },
  shim_routed_attempts_total: {
    ...counter,
    ...workspace,
    group: "Routing",
    help: "Ended attempts whose model was chosen by a route, by the family of the model.",
    labels: { model: modelFamilies },
  },
  shim_routed_cost_dollars_total: {
    ...counter,
    unit: "dollars",
    ...workspace,
    group: "Routing",
    help: "Cost of the attempts whose model was chosen by a route, by the family of the model.",
    labels: { model: modelFamilies },
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

export const metricsOfWorkspace = { ...teamMetrics, ...taskMetrics, ...coordinatorMetrics } as const;
