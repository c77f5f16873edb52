import { err, ok } from "../../../shared/result.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { CoordinatorLink } from "../../coordinator-link.ts";
import { findSession } from "../../resolve-id.ts";
import { oneLine } from "../../screen-text.ts";
import { explainCancelled, explainDead, explainDone } from "./ended-tasks.ts";
import { explainAssigned, explainRunning } from "./held-tasks.ts";
import { readFacts, type TaskFacts } from "./task-facts.ts";
import { explainBlocked, explainQueued, explainScheduled } from "./waiting-tasks.ts";

/** [CL51] */
export async function explainTask(cli: Cli, link: CoordinatorLink, task: number): Promise<CommandResult> {
  const facts = await readFacts(link, task);
  if (!facts.ok) return facts.error.code === "unknown_task" ? unknownTask(cli, task, facts) : facts;
  const [first = "", ...others] = explain(facts.value, cli.io.now());
  const why = [`Task ${task} (${facts.value.task.type}) ${first}`, ...others].map(indentLine);
  return ok({ data: { ...facts.value, why }, text: `${why.join("\n")}\n` });
}

function explain(facts: TaskFacts, now: number): string[] {
  const { task } = facts;
  switch (task.state) {
    case "blocked":
      return explainBlocked(facts);
    case "scheduled":
      return explainScheduled(facts, now);
    case "queued":
      return explainQueued(facts);
    case "assigned":
      return explainAssigned(task);
    case "running":
      return explainRunning(task);
    case "done":
      return explainDone(facts);
    case "dead":
      return explainDead(facts);
    case "cancelled":
      return explainCancelled(facts);
  }
}

const maxShownChars = 1_000;

function indentLine(text: string): string {
  return `${text.startsWith("  ") ? "  " : ""}${oneLine(text, maxShownChars)}`;
}

/** A number is a task, even where it is also a prefix of a session's id. */
async function unknownTask(cli: Cli, task: number, refused: CommandResult & { ok: false }): Promise<CommandResult> {
  const session = findSession(await cli.runtime(), String(task));
  if (!session.ok && session.error.code === "not_found") return refused;
  const { message } = refused.error;
  return err({ ...refused.error, message: `${message}. A session is meant by more of its id than digits.` });
}
