import { type ClaimedTask, WorkResult } from "../../../contract/tasks.ts";
import { Label, type Json } from "../../../contract/values.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok, type Result, fail } from "../../../shared/result.ts";
import { age } from "../../../shared/format.ts";
import type { Abilities, TeamChat } from "../../../machine/team/team-chat.ts";
import { beginningOf } from "../../../shared/shorten.ts";
import { maxQuotedChars, teamTool, type TeamResult, type ToolInput } from "./tool.ts";
import type { ReportResult, HeldTask } from "../../../machine/team/held-claims.ts";

export const next = teamTool<"shim_next">(async ({ member }, { types = [], capabilities, capacity, waitMs = 0 }) => {
  const stated = await setAbilities(member, omitUndefined({ capabilities, capacity }));
  if (!stated.ok) return stated;
  const [held] = member.tasks.list();
  if (held) return ok(showTask(member, held, false));
  const taken = await member.claims.claim(types, waitMs);
  if (!taken.ok) return taken;
  if (taken.value) return ok(showTask(member, taken.value, true));
  const message = "No task is available. A notification comes when there is a task for this chat; then call shim_next.";
  return ok({ message, output: { task: null } });
});

const maxNamed = 10;

function showTask(member: TeamChat, held: HeldTask, isNew: boolean) {
  const { task, type, payload, attempt, maxAttempts, progress, checkpoint, inputs } = held.body;
  const remainingMs = member.tasks.remainingMs(held);
  const until = remainingMs === null ? "" : `, ${age(remainingMs)} left`;
  const first = `${isNew ? "Taken" : "You have"} task ${task} (${type}, attempt ${attempt} of ${maxAttempts}${until}).`;
  const shown = { task, type, payload, attempt, progress, checkpoint, inputs };
  return {
    message: `${first}${inputsText(held.body)} End it with shim_report.`,
    quoted: { as: "task", text: formatContent(held.body) },
    output: { task: { ...shown, ...(remainingMs === null ? {} : { remainingMs }), isNew } },
  };
}

async function setAbilities(member: TeamChat, abilities: Partial<Abilities>): Promise<Result<null>> {
  if (Object.keys(abilities).length === 0) return ok(null);
  const invalidName = abilities.capabilities?.find((name) => !Label.safeParse(name).success);
  if (invalidName !== undefined) {
    return fail("bad_input", `"${invalidName}" is not a valid capability: 1 to 200 characters on one line.`);
  }
  await member.setAbilities(abilities);
  return ok(null);
}

/** The chat's own folder has no merged inputs. */
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
  return beginningOf(lines.join("\n"), maxQuotedChars);
}

type Input = ToolInput<"shim_report">;

/** The contract's limits. */
const maxNoteChars = 500;
const maxResultChars = 262_144;

export const report = teamTool<"shim_report">(async ({ member }, input) => {
  const held = requireHeldTask(member, input.task);
  if (!held.ok) return held;
  const reported = await reportOutcome(member, held.value, input);
  if (!reported.ok) return reported;
  const { task } = held.value.body;
  if (reported.value.kind === "kept") {
    return ok({
      message: `Kept: the report on task ${task} will be sent once, when the coordinator answers again. Continue.`,
      output: { task, state: "kept" },
    });
  }
  return toAnswer(task, input.outcome, reported.value);
});

function toAnswer(
  task: number,
  outcome: Input["outcome"],
  { answer }: Extract<ReportResult, { kind: "answered" }>,
): TeamResult<"shim_report"> {
  if (!answer.ok) return answer;
  const { state, isCancelled, reason } = answer.value;
  const output = { task, state: "reported", ...(state === undefined ? {} : { taskState: state }) };
  if (isCancelled)
    return ok({
      message: `Task ${task} was cancelled (${reason ?? "no reason given"}): stop, and report it as failed.`,
      output,
    });
  if (outcome === "progress") return ok({ message: `Reported. Task ${task} is still yours.`, output });
  return ok({ message: `Reported: task ${task} is ${state ?? "closed"}.`, output });
}

function requireHeldTask(member: TeamChat, task: number | undefined): Result<HeldTask> {
  const held = member.tasks.list();
  const found = task === undefined ? held[0] : held.find((one) => one.body.task === task);
  if (found) return ok(found);
  const heldTasks = held.map((one) => one.body.task).join(", ") || "none";
  const what =
    task === undefined ? "This chat has no task" : `This chat does not have task ${task} (it has: ${heldTasks})`;
  return fail("no_claim", `${what}. shim_next takes one; nothing was reported.`);
}

async function reportOutcome(member: TeamChat, held: HeldTask, input: Input): Promise<Result<ReportResult>> {
  const { note } = input;
  const short = note?.slice(0, maxNoteChars);
  switch (input.outcome) {
    case "progress":
      member.setProgress(short ?? "");
      return ok(await member.tasks.progress(held, omitUndefined({ note: short, percent: input.percent })));
    case "failed":
      return ok(await member.tasks.fail(held, short || "no reason given", input.retry !== false));
    case "done":
      return completeTask(member, held, (input.result ?? note ?? null) as Json);
  }
}

async function completeTask(member: TeamChat, held: HeldTask, result: Json): Promise<Result<ReportResult>> {
  const chars = JSON.stringify(result).length;
  if (chars > maxResultChars) {
    return fail(
      "too_large",
      `The result has ${chars} characters as JSON, the limit is ${maxResultChars}. Shorten it, or name a file; nothing was reported.`,
    );
  }
  return ok(await member.tasks.complete(held, result));
}

export const submit = teamTool<"shim_submit">(async ({ session, member }, { tasks }) => {
  const request = { tasks, by: session.id, requestId: member.newId() };
  const sent = await member.outbox.call("tasks.submit", request as never);
  if (sent.kind === "kept") {
    return ok({
      message:
        "Kept: the tasks will be submitted once, when the coordinator answers again; a notification brings their numbers.",
      output: { state: "kept", tasks: [] },
    });
  }
  if (!sent.answer.ok) return sent.answer;
  const tasksOf = sent.answer.value.tasks.map(({ task, state }) => ({ task, state }));
  return ok({
    message: `Submitted: ${tasksOf.map(({ task, state }) => `${task} (${state ?? "known before"})`).join(", ")}.`,
    output: { state: "submitted", tasks: tasksOf },
  });
});
