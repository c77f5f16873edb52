import { err, ok } from "../../shared/result.ts";
import type { Cli, Outcome } from "../cli.ts";
import type { Coordination } from "../coordination.ts";
import { findSession } from "../named.ts";
import { oneLine } from "../screen-text.ts";
import { cancelledWhy, deadWhy, doneWhy } from "./ended-tasks.ts";
import { assignedWhy, runningWhy } from "./held-tasks.ts";
import { factsOf, type TaskFacts } from "./task-facts.ts";
import { blockedWhy, queuedWhy, scheduledWhy } from "./waiting-tasks.ts";

/** [CL51] Why a task is where it is, in words. */
export async function explainTask(cli: Cli, link: Coordination, task: number): Promise<Outcome> {
  const facts = await factsOf(link, task);
  if (!facts.ok) return facts.error.code === "unknown_task" ? unknown(cli, task, facts) : facts;
  const [first = "", ...others] = whyOf(facts.value, cli.io.now());
  const why = [`Task ${task} (${facts.value.task.type}) ${first}`, ...others].map(lineOf);
  return ok({ data: { ...facts.value, why }, text: `${why.join("\n")}\n` });
}

function whyOf(facts: TaskFacts, now: number): string[] {
  const { task } = facts;
  switch (task.state) {
    case "blocked":
      return blockedWhy(facts);
    case "scheduled":
      return scheduledWhy(facts, now);
    case "queued":
      return queuedWhy(facts);
    case "assigned":
      return assignedWhy(task);
    case "running":
      return runningWhy(task);
    case "done":
      return doneWhy(facts);
    case "dead":
      return deadWhy(facts);
    case "cancelled":
      return cancelledWhy(facts);
  }
}

/** Of one line; `--json` has all in full. */
const mostShown = 1_000;

/** What stands below another line stays there. */
function lineOf(text: string): string {
  return `${text.startsWith("  ") ? "  " : ""}${oneLine(text, mostShown)}`;
}

/** A number is a task, also where it is the beginning of a session's id. */
async function unknown(cli: Cli, task: number, refused: Outcome & { ok: false }): Promise<Outcome> {
  const session = findSession(await cli.runtime(), String(task));
  if (!session.ok && session.error.code === "not_found") return refused;
  const { message } = refused.error;
  return err({ ...refused.error, message: `${message}. A session is meant by more of its id than digits.` });
}
