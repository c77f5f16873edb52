import type { ClaimedTask } from "./tasks.ts";

/** The prompt of a session that does a task begins with them; no other session's does. */
export function openingLine({ task, type }: Pick<ClaimedTask, "task" | "type">): string {
  return `Do task ${task} (${type}):`;
}

/** Whether a session does a task, by its title, which is the start of its first prompt. */
export function isTaskPrompt(title: string): boolean {
  return /^Do task \d+ \(/.test(title);
}
