import type { ClaimedTask } from "./tasks.ts";

/** Marks the prompt of a session that does a task; other prompts never start like this. */
export function openingLine({ task, type }: Pick<ClaimedTask, "task" | "type">): string {
  return `Do task ${task} (${type}):`;
}

export function isTaskPrompt(title: string): boolean {
  return /^Do task \d+ \(/.test(title);
}
