import { age } from "../../../../shared/format.ts";
import { progressText } from "../task-list.ts";
import type { Task } from "./task-facts.ts";

export function explainAssigned({ chat, dueInMs }: Task): string[] {
  return [`is assigned to ${chat}, and not begun: it must begin within ${age(dueInMs ?? 0)}, else it is queued again.`];
}

export function explainRunning({ chat, failures, maxAttempts, running, progress, isCancelAsked }: Task): string[] {
  const since = running === null ? "" : ` for ${age(running.startedAgeMs)}`;
  const progressNote = progressText(progress);
  return [
    `is running: by ${chat}${since}, attempt ${failures + 1} of ${maxAttempts}.`,
    progressNote === "" ? "No progress was reported." : `Progress: ${progressNote}`,
    ...(running === null ? [] : deadlines(running)),
    ...(isCancelAsked ? ["It was cancelled: its chat learns so with the answer to its next heartbeat."] : []),
  ];
}

function deadlines({ heardAgeMs, silenceLeftMs, remainingMs }: NonNullable<Task["running"]>): string[] {
  return [
    `Last heartbeat: ${age(heardAgeMs)} ago; silent for ${age(silenceLeftMs)} more it has stalled.`,
    `The attempt must end within ${age(remainingMs)}, else it is a timeout.`,
  ];
}
