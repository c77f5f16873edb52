import type { ToolError } from "../chat.ts";
import type { Json } from "../../../contract/json.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { HeldTask } from "../../team/held-tasks.ts";
import type { ReportResult } from "../../team/held-claims.ts";
import type { TeamChat } from "../../team/team-chat.ts";
import { teamTool, type TeamResult } from "./team-tool.ts";
import type { ToolInput } from "./tool.ts";

type Input = ToolInput<"shim_report">;

/** The contract's limits. */
const maxNoteChars = 500;
const maxResultChars = 262_144;

export const report = teamTool<"shim_report">(async ({ member }, input) => {
  const held = requireHeldTask(member, input.task);
  if (!held.ok) return held;
  const reported = await reportOutcome(member, held.value, input);
  if (!reported.ok) return reported;
  const { task } = held.value.task;
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

function requireHeldTask(member: TeamChat, task: number | undefined): Result<HeldTask, ToolError> {
  const held = member.tasks.list();
  const found = task === undefined ? held[0] : held.find((one) => one.task.task === task);
  if (found) return ok(found);
  const heldTasks = held.map((one) => one.task.task).join(", ") || "none";
  const what =
    task === undefined ? "This chat has no task" : `This chat does not have task ${task} (it has: ${heldTasks})`;
  return err({ code: "no_claim", message: `${what}. shim_next takes one; nothing was reported.` });
}

async function reportOutcome(member: TeamChat, held: HeldTask, input: Input): Promise<Result<ReportResult, ToolError>> {
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

async function completeTask(member: TeamChat, held: HeldTask, result: Json): Promise<Result<ReportResult, ToolError>> {
  const chars = JSON.stringify(result).length;
  if (chars > maxResultChars) {
    return err({
      code: "too_large",
      message: `The result has ${chars} characters as JSON, the limit is ${maxResultChars}. Shorten it, or name a file; nothing was reported.`,
    });
  }
  return ok(await member.tasks.complete(held, result));
}
