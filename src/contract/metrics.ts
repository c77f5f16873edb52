import { hookClients } from "./clients.ts";
import { hookEvents } from "./hooks.ts";
import { trialStates } from "./learning.ts";
import { crashCauses, riskLevels } from "./readings.ts";
import { attemptEnds, chatStatuses, deathReasons, openStates } from "./task-words.ts";

export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  /** Base unit of the value, as the name says it; null: a plain number. */
  readonly unit: "seconds" | "bytes" | "ratio" | "dollars" | null;
  /** Subject: one machine, or one workspace of a coordinator. */
  readonly source: "machine" | "workspace";
  /** Row of the dashboard. */
  readonly group: string;
  readonly help: string;
  /** All values of each label. Any other value counts as `other`: an id never becomes a label. */
  readonly labels: LabelValues;
  /** Upper bounds of a histogram's buckets, in its unit, rising. */
  readonly buckets?: readonly number[];
}

type LabelValues = Readonly<Record<string, readonly string[]>>;

type Declared<Labels extends LabelValues = LabelValues> = Pick<MetricDefinition, "type" | "help" | "buckets"> & {
  readonly labels: Labels;
};

function counter<const Labels extends LabelValues>(help: string, labels = {} as Labels): Declared<Labels> {
  return { type: "counter", help, labels };
}

function gauge<const Labels extends LabelValues>(help: string, labels = {} as Labels): Declared<Labels> {
  return { type: "gauge", help, labels };
}

/** The bounds 0.1 and 0.5 s are those of a save and of a recovery. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

function histogram(help: string, labels: LabelValues = {}, buckets = durationBuckets): Declared {
  return { type: "histogram", help, labels, buckets };
}

const units = ["seconds", "bytes", "ratio", "dollars"] as const;

/** Completes the declarations of a row of the dashboard. */
function metricGroup<Metrics extends Readonly<Record<string, Declared>>>(
  source: MetricDefinition["source"],
  group: string,
  declared: Metrics,
): { readonly [Name in keyof Metrics]: Metrics[Name] & Omit<MetricDefinition, keyof Declared> } {
  const defined = Object.entries(declared).map(([name, metric]) => {
    const unit = units.find((one) => name.replace(/_total$/, "").endsWith(`_${one}`)) ?? null;
    return [name, { ...metric, unit, source, group }];
  });
  return Object.fromEntries(defined) as ReturnType<typeof metricGroup<Metrics>>;
}

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
const triggers = [...automatic, "detached", "give", "on_demand", "undo"];
const clients = [...hookClients, "claude-ai", "claude-desktop"];
const riskInputs = ["contextFill", "contextTokens", "sinceCheckpointMs", "hostMemory", "rateLimit", "toolErrors"];
const modelFamilies = ["opus", "sonnet", "haiku", "fable", "mythos", "gpt", "gemini"];

const metricsOfMachine = {
  ...metricGroup("machine", "Chats", {
    shim_sessions: gauge("Chats that are alive, by what they do.", {
      activity: ["busy", "waiting", "idle", "stuck"],
    }),
    shim_sessions_recoverable: gauge("Sessions that died with work and were neither continued nor dismissed."),
    shim_sessions_at_risk: gauge("Live chats by the level of their crash risk.", { level: riskLevels }),
    shim_session_risk_ratio: gauge("Highest crash risk of a live chat."),
    shim_risk_reasons: gauge("Live chats whose crash risk is raised for a reason.", {
      reason: [...riskInputs, "latencyTrend", "apiErrors", "transcriptBytes"],
    }),
    shim_context_fill_ratio: gauge("Highest share of the context window that a live chat uses."),
    shim_usage_limit_ratio: gauge("Highest used share of a usage limit that the client reported."),
    shim_unsaved_age_seconds: gauge("Longest time that a live chat has had events which are in no checkpoint."),
    shim_tool_calls_total: counter("Tool calls of all sessions."),
    shim_tool_errors_total: counter("Tool calls that failed."),
  }),
  ...metricGroup("machine", "Checkpoints", {
    shim_checkpoints_total: counter("Checkpoints that were stored, by what caused them.", { trigger: triggers }),
    shim_checkpoint_bytes_total: counter("Bytes of the states in all checkpoints, before compression."),
    shim_redactions_total: counter("Secrets that were removed from the notes of checkpoints."),
    shim_save_duration_seconds: histogram(
      "Time to store a checkpoint, from reading the journal to the durable commit.",
    ),
    shim_hook_duration_seconds: histogram("Time to store and answer a hook event.", { event: hookEvents }),
    shim_snapshots: gauge("Stored snapshots of files, by state.", {
      state: ["pending", "running", "done", "skipped", "failed"],
    }),
  }),
  ...metricGroup("machine", "Deaths and recovery", {
    shim_deaths_total: counter("Sessions that died with work, by cause and client.", {
      cause: crashCauses,
      client: clients,
    }),
    shim_deaths_corrected_total: counter(
      "Deaths that a later fact showed to be none, or of another cause, under which they are counted again; subtract them.",
      { cause: crashCauses, client: clients },
    ),
    shim_unsaved_tool_calls_total: counter(
      "Tool calls that were in no checkpoint when their session died; the journal has them.",
    ),
    shim_recoveries_total: counter(
      "Recovery events of dead sessions, one per offer, continuation or decision; a session may have several.",
      { action: ["offered", "mentioned", "taken", "recovered", "undone", "returned", "dismissed"] },
    ),
    shim_restore_score_ratio: histogram(
      "Score of the briefs that were offered: the mean of prompts quoted, the end of the conversation there, and files as left.",
      {},
      [0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1],
    ),
    shim_recovery_duration_seconds: histogram("Time to find a session that died and to write its brief."),
  }),
  ...metricGroup("machine", "Supervisor", {
    shim_supervisor_programs: gauge(
      "Programs in the supervisor's settings; waiting: for their next start; looping: crashed too often to be started again; unwatched: no supervisor runs.",
      { phase: ["running", "waiting", "finished", "stopped", "failed", "looping", "unwatched"] },
    ),
    shim_supervisor_restarts_total: counter(
      "Programs and chats that the supervisor has started again, by what ended them before; left: ended with an earlier supervisor; asked: by the user.",
      { reason: ["crashed", "limited", "left", "asked"] },
    ),
  }),
  ...metricGroup("machine", "Cost", {
    shim_tokens_total: counter("Tokens of model responses, by family of models.", {
      model: modelFamilies,
      kind: ["input", "output", "cache_read", "cache_write"],
    }),
    shim_cost_dollars_total: counter("Cost as the client reports it, by family of models.", { model: modelFamilies }),
    shim_cost_today_dollars: gauge(
      "Cost of the present UTC day, with estimates by your prices where the client reports none.",
    ),
  }),
  ...metricGroup("machine", "Sync and store", {
    shim_sync_backlog_changes: gauge("Changes that the coordinator has not yet acknowledged."),
    shim_sync_backlog_age_seconds: gauge("Age of the oldest change that the coordinator has not yet acknowledged."),
    shim_queued_calls: gauge("Calls to the coordinator that wait until it can be reached."),
    shim_spool_files: gauge("Files of hook events that the store could not take yet."),
    shim_notices: gauge("Problems that wait to be acknowledged with shim doctor."),
    shim_store_bytes: gauge("Size of the machine's database with its log."),
    shim_store_schema_version: gauge("Version of the machine's database schema."),
  }),
  ...metricGroup("machine", "Experiments", {
    shim_experiments: gauge("Experiments with a setting of this machine, by state.", { state: trialStates }),
    shim_experiment_sessions: gauge("Sessions in experiments that are running, by arm.", {
      arm: ["control", "treatment"],
    }),
    shim_experiment_stops_total: counter("Experiments that a guardrail stopped."),
  }),
};

const auditKinds = ["chat.registered", "chat.offline", "lease.granted", "lease.expired", "lease.forced"];
const rareAuditKinds = [
  "settings.changed",
  "epoch.raised",
  "workspace.restored",
  "workspace.not_restored",
  "token.created",
  "token.revoked",
  "sweep.failed",
];

const metricsOfWorkspace = {
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
    shim_boxes: gauge("Hand-overs and phones that the coordinator holds or relays for the workspace."),
    shim_box_bytes: gauge("Characters that are reserved for them, one byte each."),
    shim_synced_sessions: gauge("Sessions of which the workspace stores an encrypted copy."),
    shim_synced_bytes: gauge("Characters of the encrypted copies of sessions, one byte each."),
    shim_workspace_schema_version: gauge("Version of the workspace's database schema."),
  }),
};

export const other = "other";

/** The one declaration of all metrics: text, documentation, dashboards and alerts follow it. */
export const metrics = { ...metricsOfMachine, ...metricsOfWorkspace };

export type MetricName = keyof typeof metrics;

export type Labels = Readonly<Record<string, string>>;

/** One value. Of a histogram: the observations between two bounds, and the sum of their values. */
export interface Sample {
  readonly name: MetricName;
  readonly labels: Labels;
  readonly value: number;
  /** Upper bound of a histogram's bucket; null: above the last. */
  readonly bucket?: number | null | undefined;
  /** Sum of the values in the bucket. */
  readonly sum?: number | undefined;
}

export function definitionOf(name: MetricName): MetricDefinition {
  return metrics[name];
}

/** Pure. Family of a model, for a label: the names of models are not a closed set. */
export function modelFamily(model: string): string {
  return modelFamilies.find((family) => model.includes(family)) ?? other;
}
