import type { Command } from "commander";
import { resolve } from "node:path";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { localTime, parseDuration } from "../../times.ts";

interface PauseOptions extends CommonOptions {
  readonly project?: string;
  readonly off?: boolean;
}

type Pause = MachineOutput<"pauses.list">["pauses"][number];

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("pause [duration]")
    .description("store nothing for a while, or until --off")
    .option("--project <folder>", "only this project")
    .option("--off", "end the pause");
  cli.define(command, (options: PauseOptions, given?: string) => pause(cli, options, given));
}

async function pause(cli: Cli, options: PauseOptions, given: string | undefined): Promise<CommandResult> {
  const forMs = given === undefined ? undefined : parseDuration(given);
  if (forMs === null) return wrongUsage(`"${given}" is not a duration. Give one such as 30m, 2h or 1d.`);
  if (forMs !== undefined && options.off) return wrongUsage("give either a duration or --off.");
  const folder = options.project === undefined ? undefined : resolve(cli.io.cwd, options.project);
  return options.off ? end(cli, folder) : start(cli, folder, forMs);
}

async function start(cli: Cli, folder: string | undefined, forMs: number | undefined): Promise<CommandResult> {
  const answer = await cli.call("pauses.start", omitUndefined({ project: folder, forMs }));
  if (!answer.ok) return answer;
  const { pauses, started } = answer.value;
  const off = `\`shim pause --off${started.project === null ? "" : ` --project ${started.project}`}\` ends it`;
  const until = started.until === null ? "you say so" : localTime(started.until);
  const text = `Nothing is stored for ${projectText(started)} until ${until}; ${off}.\n`;
  return ok({ data: answer.value, text: text + otherPausesText(pauses, started.project) });
}

async function end(cli: Cli, folder: string | undefined): Promise<CommandResult> {
  const answer = await cli.call("pauses.end", omitUndefined({ project: folder }));
  if (!answer.ok) return answer;
  const { pauses, ended, project } = answer.value;
  const text = ended ? "Saving again" : "There was no pause";
  return ok({
    data: answer.value,
    text: `${text} for ${projectText({ project })}.\n${otherPausesText(pauses, project)}`,
  });
}

function projectText({ project }: Pick<Pause, "project">): string {
  return project ?? "every project";
}

function otherPausesText(pauses: readonly Pause[], project: string | null): string {
  return pauses
    .filter((one) => one.project !== project)
    .map((one) => `Also paused: ${projectText(one)}${one.until === null ? "" : ` until ${localTime(one.until)}`}.\n`)
    .join("");
}
