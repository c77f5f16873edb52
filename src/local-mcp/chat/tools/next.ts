import type { ToolError } from "../chat.ts";
import type { ClaimedTask } from "../../../contract/tasks.ts";
import { Label } from "../../../contract/values.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { WorkResult } from "../../../contract/work-result.ts";
import { age } from "../../../shared/format.ts";
import type { Abilities } from "../../team/chat-abilities.ts";
import type { HeldTask } from "../../team/held-tasks.ts";
import type { TeamChat } from "../../team/team-chat.ts";
import type { WaitingTasks } from "../../team/waiting-tasks.ts";
import { cut, teamTool } from "./team-tool.ts";

export const next = teamTool<"shim_next">(async ({ member }, { types = [], capabilities, capacity, waitMs = 0 }) => {
  const stated = await setAbilities(member, omitUndefined({ capabilities, capacity }));
  if (!stated.ok) return stated;
  const [held] = member.tasks.list();
  if (held) return ok(toAnswer(member, held, false));
  const taken = await member.claims.claim(types, waitMs);
  if (!taken.ok) return taken;
  if (taken.value) return ok(toAnswer(member, taken.value, true));
  const waited = await member.claims.findWaiting(types);
  const waiting = waited.ok ? waited.value : [];
  return ok({ message: nothingText(waiting), output: { task: null, waiting } });
});

function nothingText(waiting: readonly WaitingTasks[]): string {
  const why = waiting.length === 0 ? "No task is available" : waiting.map(formatReason).join("; ");
  return `${why}. A notification comes when there is a task for this chat; then call shim_next.`;
}

const maxNamed = 10;

/** Capabilities are untrusted text: structured answer only. */
function formatReason({ type, tasks, waitsFor, needs, dueInMs }: WaitingTasks): string {
  const s = tasks.length === 1 ? "s" : "";
  const reasons = [
    waitsFor.length === 0 ? "" : `wait${s} for ${listTasks(waitsFor)}`,
    dueInMs === null ? "" : `come${s} in ${age(dueInMs)}`,
    needs.length === 0 ? "" : `need${s} capabilities that this chat lacks`,
  ].filter((text) => text !== "");
  return `${tasks.length} task${s === "" ? "s" : ""} of type ${type} ${reasons.join(", or ") || "cannot be taken yet"}`;
}

function listTasks(tasks: WaitingTasks["waitsFor"]): string {
  const named = tasks.slice(0, maxNamed).map(({ task, state }) => `${task} (${state})`);
  const more = tasks.length > maxNamed ? ` and ${tasks.length - maxNamed} more` : "";
  return `${named.join(", ")}${more}`;
}

function toAnswer(member: TeamChat, held: HeldTask, isNew: boolean) {
  return {
    message: formatMessage(member, held, isNew),
    quoted: { as: "task", text: formatContent(held.task) },
    output: { task: { ...toTask(member, held), isNew } },
  };
}

async function setAbilities(member: TeamChat, abilities: Partial<Abilities>): Promise<Result<null, ToolError>> {
  if (Object.keys(abilities).length === 0) return ok(null);
  const invalidName = abilities.capabilities?.find((name) => !Label.safeParse(name).success);
  if (invalidName !== undefined) {
    return err({
      code: "bad_input",
      message: `"${invalidName}" is not a valid capability: 1 to 200 characters on one line.`,
    });
  }
  await member.setAbilities(abilities);
  return ok(null);
}

function toTask(member: TeamChat, held: HeldTask) {
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

function formatMessage(member: TeamChat, held: HeldTask, isNew: boolean): string {
  const { task, type, attempt, maxAttempts } = held.task;
  const remainingMs = member.tasks.remainingMs(held);
  const until = remainingMs === null ? "" : `, ${age(remainingMs)} left`;
  const first = `${isNew ? "Taken" : "You have"} task ${task} (${type}, attempt ${attempt} of ${maxAttempts}${until}).`;
  return `${first}${inputsText(held.task)} End it with shim_report.`;
}

/** [TE41] The chat's own folder has no merged inputs. */
function inputsText({ inputs }: ClaimedTask): string {
  const commits = inputs
    .flatMap(({ result }) => WorkResult.safeParse(result).data ?? [])
    .filter(({ branch }) => branch !== null);
  if (commits.length === 0) return "";
  const named = commits.slice(0, maxNamed).map(({ commit }) => commit);
  return ` It builds on commits of other tasks: merge those that this folder lacks before you start (git merge ${named.join(" ")}).`;
}

function formatContent({ payload, progress, checkpoint, inputs }: ClaimedTask): string {
  const lines = [`payload: ${JSON.stringify(payload)}`];
  if (progress !== null) lines.push(`progress of an earlier attempt: ${JSON.stringify(progress)}`);
  if (checkpoint !== null) lines.push(`its last checkpoint: ${JSON.stringify(checkpoint)}`);
  if (inputs.length > 0) lines.push(`results that it depended on: ${JSON.stringify(inputs)}`);
  return cut(lines.join("\n"));
}
