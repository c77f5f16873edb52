import { chatErrors, type Operation } from "./operation.ts";
import * as views from "./task-views.ts";
import * as tasks from "./tasks.ts";

const holderErrors = [...chatErrors, "unknown_task", "stale_claim"] as const;

const workOperations = {
  "tasks.submit": {
    method: "POST",
    path: "/tasks",
    scope: "submit",
    ...tasks.SubmitTasks,
    errors: ["unknown_task", "duplicate_task", "quota_exceeded", "key_reused"],
    maxBodyBytes: 10_485_760,
    summary: "Submits one task, many, or a graph of them, all or nothing.",
  },
  "tasks.claim": {
    method: "POST",
    path: "/tasks/claim",
    scope: "work",
    ...tasks.ClaimTasks,
    errors: [...chatErrors, "chat_draining", "budget_exceeded", "quota_exceeded"],
    summary: "Takes what this chat can do, the highest priority first, as far as its capacity goes.",
  },
  "tasks.start": {
    method: "POST",
    path: "/tasks/start",
    scope: "work",
    ...tasks.HoldTask,
    errors: [...holderErrors, "budget_exceeded"],
    summary: "Begins a task that is assigned.",
  },
  "tasks.heartbeat": {
    method: "POST",
    path: "/tasks/heartbeat",
    scope: "work",
    ...tasks.HeartbeatTask,
    errors: [...holderErrors, "budget_exceeded"],
    summary: "Says that work goes on and how far it is; is told when somebody has cancelled it.",
  },
  "tasks.ack": {
    method: "POST",
    path: "/tasks/ack",
    scope: "work",
    ...tasks.AckTask,
    errors: holderErrors,
    summary: "It is done; with `next` the answer carries the next ones.",
  },
  "tasks.nack": {
    method: "POST",
    path: "/tasks/nack",
    scope: "work",
    ...tasks.NackTask,
    errors: holderErrors,
    summary: "It failed: again after a while, or for good.",
  },
  "tasks.extend": {
    method: "POST",
    path: "/tasks/extend",
    scope: "work",
    ...tasks.ExtendTask,
    errors: [...holderErrors, "budget_exceeded"],
    summary: "The attempt has at least so long from now on; never less than before.",
  },
  "tasks.release": {
    method: "POST",
    path: "/tasks/release",
    scope: "work",
    ...tasks.ReleaseTask,
    errors: holderErrors,
    summary: "Gives it back to the queue; costs no attempt.",
  },
  "tasks.cancel": {
    method: "POST",
    path: "/tasks/cancel",
    scope: "submit",
    ...tasks.CancelTask,
    errors: ["unknown_task"],
    summary: "Ends what has not started; who runs it is told to stop.",
  },
} as const satisfies Record<string, Operation>;

const viewOperations = {
  "tasks.get": {
    method: "GET",
    path: "/tasks/get",
    scope: "observe",
    ...views.GetTask,
    errors: ["unknown_task"],
    summary: "One task, with its payload and result.",
  },
  "tasks.list": {
    method: "GET",
    path: "/tasks",
    scope: "observe",
    ...views.ListTasks,
    errors: [],
    summary: "Lists tasks by number, page by page.",
  },
  "tasks.tree": {
    method: "GET",
    path: "/tasks/tree",
    scope: "observe",
    ...views.TaskTree,
    errors: ["unknown_task"],
    summary: "A task, those below it, and what each depends on.",
  },
  "tasks.history": {
    method: "GET",
    path: "/tasks/history",
    scope: "observe",
    ...views.TaskHistory,
    errors: ["unknown_task"],
    summary: "The attempts of a task that have ended.",
  },
  "tasks.progress": {
    method: "GET",
    path: "/tasks/progress",
    scope: "observe",
    ...views.TaskProgress,
    errors: [],
    summary: "How far all tasks are, or those right below one.",
  },
  "tasks.stats": {
    method: "GET",
    path: "/tasks/stats",
    scope: "observe",
    ...views.TaskStats,
    errors: [],
    summary: "By type: numbers, ages, throughput, times of waiting and running.",
  },
  "tasks.load": {
    method: "GET",
    path: "/tasks/load",
    scope: "observe",
    ...views.TaskLoad,
    errors: [],
    summary: "Load, throughput and success of each live chat.",
  },
  "tasks.replay": {
    method: "POST",
    path: "/tasks/replay",
    scope: "submit",
    ...views.ReplayTasks,
    errors: ["unknown_task", "quota_exceeded"],
    summary: "Dead tasks begin anew.",
  },
  "tasks.discard": {
    method: "POST",
    path: "/tasks/discard",
    scope: "submit",
    ...views.DiscardTask,
    errors: ["unknown_task"],
    summary: "A dead task is given up for good.",
  },
} as const satisfies Record<string, Operation>;

export const taskOperations = { ...workOperations, ...viewOperations } as const;
