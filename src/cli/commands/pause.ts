import type { Command } from "commander";
import { resolve } from "node:path";
import { ok } from "../../shared/result.ts";
import type { Runtime } from "../../local-mcp/runtime.ts";
import { projectRoot } from "../../local-mcp/sessions/git-head.ts";
import * as pauses from "../../local-mcp/store/pause.ts";
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
  const hadOne = runtime.store.read((sql) => pauses.list(sql, now), []).some((one) => one.project === project);
  if (!hadOne) return `There was no pause of ${nameOf(project)}.\n`;
  runtime.store.write((sql) => pauses.resume(sql, now, project));
  return `Saving again for ${nameOf(project)}.\n`;
}

function nameOf(project: string | null): string {
  return project ?? "every project";
}

/** The name under which hooks look a pause up. */
function folderOf(cli: Cli, folder: string): string {
  const path = resolve(cli.io.cwd, folder);
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
