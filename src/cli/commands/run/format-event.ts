import type { WorkerEvent } from "../../../worker-runner/worker-events.ts";
import { oneLine } from "../../screen-text.ts";

const maxChars = 400;

export function formatEvent(event: WorkerEvent): string {
  return oneLine(describeEvent(event), maxChars);
}

function describeEvent(event: WorkerEvent): string {
  switch (event.type) {
    case "registered":
      return `works as ${event.chat} on ${event.taskTypes.join(", ")}`;
    case "backoff":
      return `${event.failures} attempts failed one after the other; nothing new for ${seconds(event.forMs)}`;
    case "draining":
      return `takes nothing new (${event.reason}); ${event.running} still running`;
    case "problem":
      return `problem: ${event.message}`;
    case "began":
    case "progress":
    case "ended":
    case "note":
      return `task ${event.task} (${event.taskType}) ${describeTask(event)}`;
  }
}

function describeTask(event: Extract<WorkerEvent, { readonly task: number }>): string {
  switch (event.type) {
    case "began":
      return `begun${event.isContinued ? " where the attempt before stopped" : ""}, attempt ${event.attempt}, in ${event.folder}`;
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
