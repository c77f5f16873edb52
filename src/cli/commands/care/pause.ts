import { resolve } from "node:path";
import type { Command } from "commander";
import { ok } from "../../../shared/result.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { catchUp } from "../../../local-mcp/observe/record-transcript.ts";
import { projectRoot } from "../../../local-mcp/sessions/git-head.ts";
import { isSessionPaused } from "../../../local-mcp/sessions/paused-session.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import * as pauses from "../../../store/pause.ts";
import { realPath } from "../../../platform/real-path.ts";
import type { Sql } from "../../../shared/sql.ts";
import { wrongUsage } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { localTime, parseDuration } from "../../times.ts";

interface PauseOptions extends CommonOptions {
  readonly project?: string;
  readonly off?: boolean;
}

export function addPause(program: Command, cli: Cli): void {
  const command = program
    .command("pause [duration]")
    .description("store nothing for a while, or until --off")
    .option("--project <folder>", "only this project")
    .option("--off", "end the pause");
  cli.define(command, (options: PauseOptions, given?: string) => pause(cli, options, given));
}

async function pause(cli: Cli, options: PauseOptions, given: string | undefined): Promise<CommandResult> {
  const ms = given === undefined ? null : parseDuration(given);
  if (given !== undefined && ms === null)
    return wrongUsage(`"${given}" is not a duration. Give one such as 30m, 2h or 1d.`);
  if (ms !== null && options.off) return wrongUsage("give either a duration or --off.");
  const runtime = await cli.runtime();
  const project = options.project === undefined ? null : projectFolder(cli, options.project);
  const text = options.off ? endPause(runtime, project) : startPause(runtime, project, ms);
  const remaining = runtime.store.read((sql) => pauses.list(sql, runtime.now()), []);
  return ok({ data: { pauses: remaining }, text: text + otherPausesText(remaining, project) });
}

function startPause(runtime: Runtime, project: string | null, ms: number | null): string {
  const now = runtime.now();
  const until = ms === null ? null : now + ms;
  runtime.store.write((sql) => pauses.pause(sql, now, until, project));
  const off = `\`shim pause --off${project === null ? "" : ` --project ${project}`}\` ends it`;
  return `Nothing is stored for ${formatProject(project)} until ${until === null ? "you say so" : localTime(until)}; ${off}.\n`;
}

function endPause(runtime: Runtime, project: string | null): string {
  const now = runtime.now();
  const endedPauses = pausesOfProject(
    runtime.store.read((sql) => pauses.list(sql, now), []),
    project,
  );
  if (endedPauses.length === 0) return `There was no pause for ${formatProject(project)}.\n`;
  runtime.store.write((sql) => {
    skipOpenTranscripts(sql, now);
    for (const one of pausesOfProject(pauses.list(sql, now), project)) pauses.resume(sql, now, one.project);
  });
  return `Saving again for ${formatProject(project)}.\n`;
}

function pausesOfProject(all: readonly pauses.Pause[], project: string | null): readonly pauses.Pause[] {
  return all.filter((one) => (one.project === null ? null : realPath(one.project)) === project);
}

/** [HO10] Skips transcript entries that no hook has reported yet, too. */
function skipOpenTranscripts(sql: Sql, now: number): void {
  for (const session of sessions.listOpen(sql)) {
    if (isSessionPaused(sql, now, session)) catchUp(sql, now, session.id);
  }
}

function formatProject(project: string | null): string {
  return project ?? "every project";
}

/** Project root by its real path: clients report that path or a link to it. */
function projectFolder(cli: Cli, folder: string): string {
  const path = realPath(resolve(cli.io.cwd, folder));
  return projectRoot(path) ?? path;
}

function otherPausesText(remaining: readonly pauses.Pause[], project: string | null): string {
  return remaining
    .filter((one) => one.project !== project)
    .map(
      (one) =>
        `Also paused: ${one.project ?? "every project"}${one.until === null ? "" : ` until ${localTime(one.until)}`}.\n`,
    )
    .join("");
}
