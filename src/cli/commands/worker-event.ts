import { age, oneLine } from "../../shared/format.ts";
import type { WorkerEvent } from "../../runner/worker/attempt.ts";

const maxEventChars = 400;

export function formatEvent(event: WorkerEvent): string {
  return oneLine(describeEvent(event), maxEventChars);
}

function describeEvent(event: WorkerEvent): string {
  if ("task" in event) return `task ${event.task} (${event.taskType}) ${describeTask(event)}`;
  switch (event.type) {
    case "registered":
      return `works as ${event.chat} on ${event.taskTypes.join(", ")}`;
    case "backoff":
    case "waiting":
    case "draining":
      return describePause(event);
    case "problem":
      return `problem: ${event.message}`;
  }
}

function describePause(event: Extract<WorkerEvent, { readonly type: "backoff" | "waiting" | "draining" }>): string {
  if (event.type === "draining") return `takes nothing new (${event.reason}); ${event.running} still running`;
  if (event.type === "waiting")
    return `${event.reason}; takes no task of the type ${event.taskType} for ${age(event.forMs)}`;
  return `${event.failures} attempts failed in a row; taking nothing new for ${seconds(event.forMs)}`;
}

function describeTask(event: Extract<WorkerEvent, { readonly task: number }>): string {
  switch (event.type) {
    case "began":
      return `started${event.isContinued ? " where the previous attempt stopped" : ""}, attempt ${event.attempt}, in ${event.folder}`;
    case "progress":
      return [event.percent === null ? "" : `${event.percent} %`, event.note ?? ""].filter(Boolean).join(" ");
    case "note":
      return event.message;
    case "ended":
      return describeEnd(event);
  }
}

function describeEnd({ end, state, reason, wallMs }: Extract<WorkerEvent, { type: "ended" }>): string {
  const newState = state === null || state === end ? "" : `, now ${state}`;
  return `${end.replace("_", " ")} after ${seconds(wallMs)}${newState}${reason === null ? "" : `: ${reason}`}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
