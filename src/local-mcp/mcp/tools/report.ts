import type * as z from "zod";
import type { Progress } from "../../../contract/tasks.ts";
import { Report } from "../../../contract/team-tools.ts";
import type { Json } from "../../../contract/values.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { HeldTask } from "../../team/held-tasks.ts";
import type { Ended } from "../../team/reports.ts";
import type { TeamChat } from "../../team/team-chat.ts";
import { defineTeamTool, refusal, type TeamAnswer } from "../team-tool.ts";
import type { ToolError } from "../tool.ts";

type Input = z.infer<typeof Report.input>;

/** As the contract has them, in characters. */
const mostNoteChars = 500;
const mostResultChars = 262_144;

export const report = defineTeamTool({
  name: "shim_report",
  title: "Report on your task",
  description: "Progress or end of your task. Your newest checkpoint goes along, so checkpoint first.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...Report,
  async act({ member }, input) {
    const held = heldOf(member, input.task);
    if (!held.ok) return held;
    const told = await tell(member, held.value, input);
    if (!told.ok) return told;
    const { task } = held.value.task;
    if (told.value.kind === "kept") {
      return ok({
        message: `Kept: the report on task ${task} will be sent once, when the coordinator answers again. Go on.`,
        output: { task, state: "kept" },
      });
    }
    return answerOf(task, input.outcome, told.value);
  },
});

function answerOf(
  task: number,
  outcome: Input["outcome"],
  { answer }: Extract<Ended, { kind: "answered" }>,
): Result<TeamAnswer<z.infer<typeof Report.output>>, ToolError> {
  if (!answer.ok) return refusal(answer.error);
  const { state, isCancelled, reason } = answer.value;
  const output = { task, state: "told", ...(state === undefined ? {} : { taskState: state }) };
  if (isCancelled)
    return ok({
      message: `Task ${task} was cancelled (${reason ?? "no reason given"}): stop, and report it as failed.`,
      output,
    });
  if (outcome === "progress") return ok({ message: `Told. Task ${task} stays yours.`, output });
  return ok({ message: `Told: task ${task} is ${state ?? "over"}.`, output });
}

function heldOf(member: TeamChat, task: number | undefined): Result<HeldTask, ToolError> {
  const held = member.tasks.list();
  const found = task === undefined ? held[0] : held.find((one) => one.task.task === task);
  if (found) return ok(found);
  const has = held.map((one) => one.task.task).join(", ") || "none";
  const what = task === undefined ? "This chat has no task" : `Task ${task} is not this chat's (it has: ${has})`;
  return err({ code: "no_claim", message: `${what}. shim_next takes one; nothing was reported.` });
}

async function tell(member: TeamChat, held: HeldTask, input: Input): Promise<Result<Ended, ToolError>> {
  const { note } = input;
  const short = note?.slice(0, mostNoteChars);
  switch (input.outcome) {
    case "progress":
      member.say(short ?? "");
      return ok(await member.reports.progress(held, progressOf(short, input.percent)));
    case "failed":
      return ok(await member.reports.failed(held, short || "no reason given", input.retry !== false));
    case "done":
      return done(member, held, resultOf(input));
  }
}

function resultOf({ result, note }: Input): Json {
  return (result ?? note ?? null) as Json;
}

async function done(member: TeamChat, held: HeldTask, result: Json): Promise<Result<Ended, ToolError>> {
  const chars = JSON.stringify(result).length;
  if (chars > mostResultChars) {
    return err({
      code: "too_large",
      message: `The result has ${chars} characters as JSON, at most ${mostResultChars}. Shorten it, or name a file; nothing was reported.`,
    });
  }
  return ok(await member.reports.done(held, result));
}

function progressOf(note: string | undefined, percent: number | undefined): Progress {
  return {
    ...(note === undefined ? {} : { note }),
    ...(percent === undefined ? {} : { percent }),
  };
}
