import type { OpenHost, OpenRowHost } from "#harness/coordinator/engine-host.ts";
import { budgetRules } from "./budgets.ts";
import { planRules } from "./plans.ts";
import { auditRowRules, auditRules } from "./audit.ts";
import { chatEndRules } from "./chat-ends.ts";
import { chatListRules } from "./chat-list.ts";
import { chatMachineRules } from "./chat-machines.ts";
import { chatRules } from "./chats.ts";
import { electionRules } from "./elections.ts";
import { leaseAdminRules } from "./lease-admin.ts";
import { leaseModelRules } from "./lease-model.ts";
import { leasePathRules } from "./lease-paths.ts";
import { leaseTrustRules } from "./lease-trust.ts";
import { leaseWaiterRules } from "./lease-waiters.ts";
import { leaseRules } from "./leases.ts";
import { lockDelayRules } from "./lock-delays.ts";
import { limitRowRules, limitRules } from "./limits.ts";
import { livenessRowRules } from "./liveness-rows.ts";
import { livenessRules } from "./liveness.ts";
import { messageLimitRules } from "./message-limits.ts";
import { messageModelRules } from "./message-model.ts";
import { messageReceiverRules } from "./message-receivers.ts";
import { messageRowRules } from "./message-rows.ts";
import { messageRules } from "./messages.ts";
import { requestIdRules } from "./request-ids.ts";
import { requestRowRules, requestRules } from "./requests.ts";
import { restoreRules } from "./restores.ts";
import { stateChangeRules } from "./state-changes.ts";
import { stateCompactionRowRules, stateCompactionRules } from "./state-compaction.ts";
import { stateLimitRules } from "./state-limits.ts";
import { stateModelRowRules, stateModelRules } from "./state-model.ts";
import { stateUpdateRowRules, stateUpdateRules } from "./state-updates.ts";
import { stateRules } from "./state.ts";
import { sweepRowRules, sweepRules } from "./sweeps.ts";
import { syncContentRules } from "./sync-contents.ts";
import { syncFileRules } from "./sync-files.ts";
import { syncModelRules } from "./sync-model.ts";
import { syncReadingRules } from "./sync-reading.ts";
import { syncRowRules } from "./sync-rows.ts";
import { syncRules } from "./sync.ts";
import { taskAttemptRules } from "./task-attempts.ts";
import { taskGraphRules } from "./task-graphs.ts";
import { taskHoldRules } from "./task-holds.ts";
import { taskModelRules } from "./task-model.ts";
import { taskJoinRules } from "./task-joins.ts";
import { taskRowRules } from "./task-rows.ts";
import { taskViewRules } from "./task-views.ts";
import { taskRules } from "./tasks.ts";

/** Chats, leases and elections. */
export function chatSuites(open: OpenHost): void {
  chatRules(open);
  chatListRules(open);
  chatMachineRules(open);
  livenessRules(open);
  chatEndRules(open);
  leaseRules(open);
  leaseWaiterRules(open);
  lockDelayRules(open);
  leasePathRules(open);
  leaseAdminRules(open);
  leaseModelRules(open);
  leaseTrustRules(open);
  electionRules(open);
  restoreRules(open);
}

/** State, messages, request ids, sweeps, settings and the audit log. */
export function stateSuites(open: OpenHost): void {
  stateRules(open);
  stateUpdateRules(open);
  stateLimitRules(open);
  stateChangeRules(open);
  stateCompactionRules(open);
  stateModelRules(open);
  requestRules(open);
  messageRules(open);
  messageReceiverRules(open);
  messageLimitRules(open);
  messageModelRules(open);
  sweepRules(open);
  auditRules(open);
}

/** Tasks. */
export function taskSuites(open: OpenHost): void {
  taskRules(open);
  taskHoldRules(open);
  taskAttemptRules(open);
  taskGraphRules(open);
  taskViewRules(open);
  taskModelRules(open);
  taskJoinRules(open);
  planRules(open);
  budgetRules(open);
  limitRules(open);
}

/** What machines keep for each other. */
export function syncSuites(open: OpenHost): void {
  syncRules(open);
  syncContentRules(open);
  syncReadingRules(open);
  syncFileRules(open);
  syncModelRules(open);
}

/** What can only be seen in rows. */
export function rowSuites(open: OpenRowHost): void {
  livenessRowRules(open);
  stateUpdateRowRules(open);
  stateCompactionRowRules(open);
  stateModelRowRules(open);
  requestRowRules(open);
  requestIdRules(open);
  messageRowRules(open);
  taskRowRules(open);
  syncRowRules(open);
  sweepRowRules(open);
  auditRowRules(open);
  limitRowRules(open);
}
