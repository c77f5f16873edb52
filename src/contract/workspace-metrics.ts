import type { ChatStatus } from "./chats.ts";
import { modelFamilies } from "./machine-metrics.ts";
import { counter, gauge, metricGroup } from "./metric-definition.ts";
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
  "workspace.restored",
  "workspace.not_restored",
  "token.created",
  "token.revoked",
  "sweep.failed",
  "schedule.refused",
];

export const metricsOfWorkspace = {
  ...metricGroup("workspace", "Team", {
    shim_chats: gauge("Registered chats, by status.", { status: chatStatuses }),
    shim_chat_slots: gauge("Chats that the workspace admits at once."),
    shim_sockets: gauge("Open connections."),
    shim_leases: gauge("Leases that are held."),
    shim_lease_waiters: gauge("Requests that wait for a lease."),
    shim_leader_changes_total: counter("Elections that a chat has won."),
    shim_messages_total: counter("Messages that were sent."),
    shim_messages: gauge("Messages that are stored."),
    shim_state_keys: gauge("Keys of the shared state."),
    shim_workspace_events_total: counter("Entries of the audit log, by kind.", {
      kind: [...auditKinds, ...rareAuditKinds, "session.taken", "session.given-back"],
    }),
  }),
  ...metricGroup("workspace", "Tasks", {
    shim_tasks: gauge("Stored tasks, by state; ended: done or cancelled.", { state: [...openStates, "ended"] }),
    shim_task_oldest_queued_seconds: gauge("Time since the queued task with the lowest number became ready."),
    shim_task_wait_seconds: gauge("Time from queued to assigned, of the newest tasks (10,000 at most).", {
      percentile: ["50", "95"],
    }),
    shim_task_run_seconds: gauge("Time from start to end of the newest done tasks (10,000 at most).", {
      percentile: ["50", "95"],
    }),
    shim_tasks_submitted_total: counter("Tasks that were submitted."),
    shim_task_attempts_total: counter("Attempts that ended without a result, by how.", { end: attemptEnds }),
    shim_task_ends_total: counter("Tasks that ended, by outcome; a replayed one ends again.", {
      outcome: ["done", "dead", "cancelled"],
    }),
    shim_task_replays_total: counter("Dead tasks that were replayed."),
    shim_dead_tasks: gauge("Dead tasks that wait for a decision, by reason.", { reason: deathReasons }),
    shim_schedules: gauge("Schedules of tasks, by state.", { state: ["active", "paused"] }),
    shim_schedule_times_total: counter("Times of schedules, by outcome.", {
      outcome: ["submitted", "skipped", "refused"],
    }),
    shim_task_tokens_total: counter("Tokens that tasks reported."),
    shim_task_cost_dollars_total: counter("Cost that tasks reported."),
    shim_day_budget_ratio: gauge("Used share of the budget of the UTC day; missing where no budget is set.", {
      limit: ["wallMs", "tokens", "costMicros"],
    }),
  }),
  ...metricGroup("workspace", "Routing", {
    shim_routed_attempts_total: counter(
      "Ended attempts whose model was chosen by a route, by the family of the model.",
      { model: modelFamilies },
    ),
    shim_routed_cost_dollars_total: counter(
      "Cost of the attempts whose model was chosen by a route, by the family of the model.",
      { model: modelFamilies },
    ),
  }),
  ...metricGroup("workspace", "Coordinator", {
    shim_outbox_tokens: gauge("Dispatch tokens on their way through the queue: one at most."),
    shim_alarm_late_seconds: gauge("How late the alarm is; 0 where it is on time."),
    shim_overdue_rows: gauge("Rows whose due time has passed."),
    shim_storage_bytes: gauge("Size of the workspace's database."),
    shim_storage_used_ratio: gauge("Used share of the workspace's storage limit."),
    shim_requests_refused_total: counter("Requests that the object refused since it last started, by code.", {
      code: ["throttled", "overloaded", "quota_exceeded"],
    }),
    shim_rows_written_total: counter("Rows that the object has written since it last started; Cloudflare bills each."),
    shim_synced_sessions: gauge("Sessions of which the workspace stores an encrypted copy."),
    shim_synced_bytes: gauge("Characters of the encrypted copies of sessions, one byte each."),
    shim_workspace_schema_version: gauge("Version of the workspace's database schema."),
  }),
};
