import { isAbsolute } from "node:path";
import type { Command } from "commander";
import { oneLine, pluralize } from "../../shared/format.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { sessionOperations } from "../../contract/machine/sessions.ts";

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "forget", {
    operation: "sessions.forget",
    of: sessionOperations,
    args: ["target"],
    fixed: { isCheckpoint: false, keepsCopies: false },
    question: async ({ target }) => {
      const label = await labelOf(cli, target);
      if (!label.ok) return label;
      return ok(label.value && `Delete ${label.value}, with all snapshots and backups? This cannot be undone.`);
    },
    view: ({ sessions: count, checkpoints, snapshots, rows }) => [
      `Forgotten: ${pluralize(count, "session")}, ${pluralize(checkpoints, "checkpoint")}, ${pluralize(snapshots, "snapshot")}, ${pluralize(rows, "row")} in all. Older backups are deleted too.`,
    ],
  });
}

/** @returns null: nothing is there to be deleted but what an earlier call has left */
async function labelOf(cli: Cli, target: string): Promise<Result<string | null>> {
  if (isAbsolute(target)) {
    const listed = await cli.call("sessions.list", { project: target, scripts: true, limit: 10_000 });
    if (!listed.ok) return listed;
    const { sessions, project } = listed.value;
    if (sessions.some(({ isAlive }) => isAlive)) warnOfLiving(cli);
    return ok(sessions.length === 0 ? null : `${pluralize(sessions.length, "session")} of ${project}`);
  }
  const found = await cli.call("sessions.find", { id: target });
  if (!found.ok) return found.error.code === "not_found" ? ok(null) : found;
  const { kind, id, title, isAlive } = found.value;
  if (isAlive) warnOfLiving(cli);
  return ok(kind === "session" ? `session ${id} (${oneLine(title ?? "untitled", 60)})` : null);
}

function warnOfLiving(cli: Cli): void {
  cli.progress("It is still running, so it is stored again from its next event on. Run `shim pause` first, or end it.");
}
