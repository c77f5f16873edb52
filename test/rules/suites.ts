import type { OpenHost, OpenRowHost } from "#harness/coordinator/engine-host.ts";
import { budgetRules } from "./budgets.ts";
import { planRules, taskJoinRules } from "./plans.ts";
import { auditRowRules, auditRules } from "./audit.ts";
import { chatEndRules } from "./chat-ends.ts";
import { chatListRules, chatMachineRules } from "./chat-list.ts";
import { chatRules } from "./chats.ts";
import { electionRules } from "./elections.ts";
import { leaseAdminRules, lockDelayRules, restoreRules } from "./lease-delays.ts";
import { leaseModelRules } from "./lease-model.ts";
import { leasePathRules } from "./lease-paths.ts";
import { leaseTrustRules } from "./lease-trust.ts";
import { leaseWaiterRules } from "./lease-waiters.ts";
import { leaseRules } from "./leases.ts";
import { metricRules } from "./metrics.ts";
import { limitRowRules, limitRules } from "./limits.ts";
import { livenessRowRules, livenessRules } from "./liveness.ts";
import { messageLimitRules } from "./message-limits.ts";
import { messageListRowRules, messageListRules } from "./message-list.ts";
import { messageModelRules } from "./message-model.ts";
import { messageReceiverRules } from "./message-receivers.ts";
import { messageRowRules } from "./message-rows.ts";
import { messageRules } from "./messages.ts";
import { requestIdRules } from "./request-ids.ts";
import { requestRowRules, requestRules } from "./requests.ts";
import { scheduleRowRules, scheduleRules } from "./schedules.ts";
import { routeRowRules, routeRules } from "./routes.ts";
import { stateChangeRules } from "./state-changes.ts";
import { stateCompactionRowRules, stateCompactionRules } from "./state-compaction.ts";
import { stateLimitRules } from "./state-limits.ts";
import { stateModelRowRules, stateModelRules } from "./state-model.ts";
import { stateRules, stateUpdateRowRules, stateUpdateRules } from "./state.ts";
import { ruleTest, taskTest } from "./rule-test.ts";
import { sweepRowRules, sweepRules } from "./sweeps.ts";
import { transferRules } from "./transfer.ts";
import { syncContentRules } from "./sync-contents.ts";
import { syncFileRules } from "./sync-files.ts";
import { syncModelRules } from "./sync-model.ts";
import { syncReadingRules } from "./sync-reading.ts";
import { syncRowRules, syncRules } from "./sync.ts";
import { taskAttemptRules } from "./task-attempts.ts";
import { taskGraphRules } from "./task-graphs.ts";
import { taskHoldRules, taskRules } from "./tasks.ts";
import { taskModelRules } from "./task-model.ts";
import { taskRowRules } from "./task-rows.ts";
import { taskViewRules } from "./task-views.ts";

/** Chats, leases and elections. */
export function chatSuites(open: OpenHost): void {
  const it = ruleTest(open);
  chatRules(it);
  chatListRules(it);
  chatMachineRules(it);
  livenessRules(it);
  chatEndRules(it);
  leaseRules(it);
  leaseWaiterRules(it);
  lockDelayRules(it);
  leasePathRules(it);
  leaseAdminRules(it);
  leaseModelRules(it);
  leaseTrustRules(it);
  electionRules(it);
  restoreRules(it);
}

/** State, messages, request ids, sweeps, settings and the audit log. */
export function stateSuites(open: OpenHost): void {
  const it = ruleTest(open);
  stateRules(it);
  stateUpdateRules(it);
  stateLimitRules(it);
  stateChangeRules(it);
  stateCompactionRules(it);
  stateModelRules(it);
  requestRules(it);
  messageRules(it);
  messageReceiverRules(it);
  messageLimitRules(it);
  messageListRules(it);
  messageModelRules(it);
  sweepRules(it);
  auditRules(it);
  transferRules(it);
}

/** Tasks. */
export function taskSuites(open: OpenHost): void {
  const it = taskTest(open);
  taskRules(it);
  taskHoldRules(it);
  taskAttemptRules(it);
  metricRules(it);
  taskGraphRules(it);
  taskViewRules(it);
  taskModelRules(it);
  taskJoinRules(it);
  planRules(it);
  budgetRules(it);
  scheduleRules(it);
  routeRules(it);
  limitRules(ruleTest(open));
}

/** What machines keep for each other. */
export function syncSuites(open: OpenHost): void {
  const it = ruleTest(open);
  syncRules(it);
  syncContentRules(it);
  syncReadingRules(it);
  syncFileRules(it);
  syncModelRules(it);
}

/** What can only be seen in rows. */
export function rowSuites(open: OpenRowHost): void {
  const it = ruleTest(open);
  livenessRowRules(it);
  stateUpdateRowRules(it);
  stateCompactionRowRules(it);
  stateModelRowRules(it);
  requestRowRules(it);
  requestIdRules(it);
  messageRowRules(it);
  messageListRowRules(it);
  taskRowRules(taskTest(open));
  scheduleRowRules(taskTest(open));
  routeRowRules(taskTest(open));
  syncRowRules(it);
  sweepRowRules(it);
  auditRowRules(it);
  limitRowRules(it);
}
