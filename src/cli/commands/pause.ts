import type { Command } from "commander";
import { resolve } from "node:path";
import { ok } from "../../shared/result.ts";
import type { Runtime } from "../../local-mcp/runtime.ts";
import { catchUp } from "../../local-mcp/sessions/catch-up.ts";
import { projectRoot } from "../../local-mcp/sessions/git-head.ts";
import { isSessionPaused } from "../../local-mcp/sessions/paused-session.ts";
import * as sessions from "../../local-mcp/sessions/sessions.ts";
import * as pauses from "../../local-mcp/store/pause.ts";
import { realPath } from "../../local-mcp/team/real-path.ts";
import type { Sql } from "../../shared/sql.ts";
import { wrongUsage } from "../answer.ts";
import { type Cli, type Common, type Outcome } from "../cli.ts";
import { localTime, parseDuration } from "../times.ts";

interface PauseOptions extends Common {
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

/** [CL17] */
async function pause(cli: Cli, options: PauseOptions, given: string | undefined): Promise<Outcome> {
  const ms = given === undefined ? null : parseDuration(given);
  if (given !== undefined && ms === null)
    return wrongUsage(`"${given}" is no duration. Give one such as 30m, 2h or 1d.`);
  if (ms !== null && options.off) return wrongUsage("give either a duration or --off.");
  const runtime = await cli.runtime();
  const project = options.project === undefined ? null : folderOf(cli, options.project);
  const text = options.off ? end(runtime, project) : begin(runtime, project, ms);
  const left = runtime.store.read((sql) => pauses.list(sql, runtime.now()), []);
  return ok({ data: { pauses: left }, text: text + others(left, project) });
}

function begin(runtime: Runtime, project: string | null, ms: number | null): string {
  const now = runtime.now();
  const until = ms === null ? null : now + ms;
  runtime.store.write((sql) => pauses.pause(sql, now, until, project));
  const off = `\`shim pause --off${project === null ? "" : ` --project ${project}`}\` ends it`;
  return `Nothing is stored for ${nameOf(project)} until ${until === null ? "you say so" : localTime(until)}; ${off}.\n`;
}

function end(runtime: Runtime, project: string | null): string {
  const now = runtime.now();
  const ended = ofProject(
    runtime.store.read((sql) => pauses.list(sql, now), []),
    project,
  );
  if (ended.length === 0) return `There was no pause of ${nameOf(project)}.\n`;
  runtime.store.write((sql) => {
    passOverOpen(sql, now);
    for (const one of ofProject(pauses.list(sql, now), project)) pauses.resume(sql, now, one.project);
  });
  return `Saving again for ${nameOf(project)}.\n`;
}

/** A pause of before may name the folder by a link. */
function ofProject(all: readonly pauses.Pause[], project: string | null): readonly pauses.Pause[] {
  return all.filter((one) => (one.project === null ? null : realPath(one.project)) === project);
}

/** [HO10] What no hook has told of stands in the transcripts, and is passed over, too. */
function passOverOpen(sql: Sql, now: number): void {
  for (const session of sessions.open(sql)) {
    if (isSessionPaused(sql, now, session)) catchUp(sql, now, session.id);
  }
}

function nameOf(project: string | null): string {
  return project ?? "every project";
}

/** The whole project of a folder, by its real path: clients tell that, or a link to it. */
function folderOf(cli: Cli, folder: string): string {
  const path = realPath(resolve(cli.io.cwd, folder));
  return projectRoot(path) ?? path;
}

function others(left: readonly pauses.Pause[], project: string | null): string {
  return left
    .filter((one) => one.project !== project)
    .map(
      (one) =>
        `Also paused: ${one.project ?? "every project"}${one.until === null ? "" : ` until ${localTime(one.until)}`}.\n`,
    )
    .join("");
}
