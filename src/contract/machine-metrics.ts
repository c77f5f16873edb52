import { hookClients } from "./clients.ts";
import { hookEvents } from "./hook-input.ts";
import { counter, gauge, histogram, metricGroup } from "./metric-definition.ts";
import { opportunityPatterns } from "./opportunities.ts";
import { crashCauses, riskLevels } from "./readings.ts";
import { trialStates } from "./trials.ts";

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
export const modelFamilies = ["opus", "sonnet", "haiku", "fable", "mythos", "gpt", "gemini"];

export const metricsOfMachine = {
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
    shim_unsaved_tool_calls_total: counter(
      "Tool calls that were in no checkpoint when their session died; the journal has them.",
    ),
    shim_recoveries_total: counter(
      "Recovery events of dead sessions, one per offer, continuation or decision; a session may have several.",
      { action: ["offered", "taken", "recovered", "undone", "dismissed"] },
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
  ...metricGroup("machine", "Opportunities", {
    shim_opportunities: gauge("Findings of the last shim report opportunities, by pattern.", {
      pattern: opportunityPatterns,
    }),
  }),
  ...metricGroup("machine", "Experiments", {
    shim_experiments: gauge("Experiments with a setting of this machine, by state.", { state: trialStates }),
    shim_experiment_sessions: gauge("Sessions in experiments that are running, by arm.", {
      arm: ["control", "treatment"],
    }),
    shim_experiment_stops_total: counter("Experiments that a guardrail stopped, by the phase that they were in.", {
      phase: ["canary", "deployed"],
    }),
    shim_experiment_rollbacks_total: counter("Values that experiments had deployed and that were taken back."),
  }),
};
