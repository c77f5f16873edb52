import type { ClaimedTask } from "../../../contract/tasks.ts";
import { Next } from "../../../contract/team-tools.ts";
import { ok } from "../../../shared/result.ts";
import { age } from "../../recovery/brief.ts";
import type { HeldTask } from "../../team/held-tasks.ts";
import type { TeamChat } from "../../team/team-chat.ts";
import { defineTeamTool, refusal } from "../team-tool.ts";

const mostChars = 4_000;

export const next = defineTeamTool({
  name: "shim_next",
  title: "Take a task",
  description:
    "Takes one task (or says which you have), with what earlier attempts left. It is yours while this chat lives; end it with shim_report.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...Next,
  async act({ member }, { types }) {
    const [held] = member.tasks.list();
    const taken = held ? null : await member.claim(types ?? []);
    if (taken && !taken.ok) return refusal(taken.error);
    const found = held ?? taken?.value ?? null;
    if (!found) {
      return ok({
        message: "Nothing is there to be taken.",
        output: { task: null },
      });
    }
    return ok({
      message: messageOf(member, found, held === undefined),
      told: { as: "task", text: contentOf(found.task) },
      output: { task: { ...shownTask(member, found), isNew: held === undefined } },
    });
  },
});

function shownTask(member: TeamChat, held: HeldTask) {
  const { task, type, payload, attempt, progress, checkpoint, inputs } = held.task;
  const remainingMs = member.tasks.remainingMs(held);
  return {
    task,
    type,
    payload,
    attempt,
    progress,
    checkpoint,
    inputs,
    ...(remainingMs === null ? {} : { remainingMs }),
  };
}

function messageOf(member: TeamChat, held: HeldTask, isNew: boolean): string {
  const { task, type, attempt, maxAttempts } = held.task;
  const remainingMs = member.tasks.remainingMs(held);
  const until = remainingMs === null ? "" : `, ${age(remainingMs)} left`;
  return `${isNew ? "Taken" : "You have"} task ${task} (${type}, attempt ${attempt} of ${maxAttempts}${until}). End it with shim_report.`;
}

function contentOf({ payload, progress, checkpoint, inputs }: ClaimedTask): string {
  const lines = [`payload: ${JSON.stringify(payload)}`];
  if (progress !== null) lines.push(`an earlier attempt got as far as: ${JSON.stringify(progress)}`);
  if (checkpoint !== null) lines.push(`its last checkpoint: ${JSON.stringify(checkpoint)}`);
  if (inputs.length > 0) lines.push(`results that it depended on: ${JSON.stringify(inputs)}`);
  const text = lines.join("\n");
  return text.length <= mostChars ? text : `${text.slice(0, mostChars)} [cut; all of it is in the structured answer]`;
}
