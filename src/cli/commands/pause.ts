import type { Command } from "commander";
import * as z from "zod";
import { localTime } from "../../contract/age.ts";
import { Duration, Folder, flag } from "../../contract/machine/operation.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { pauseEndCommand } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { wrongWords } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";

const PauseInput = z.strictObject({
  duration: Duration.optional(),
  project: Folder.optional().describe("only this project"),
  off: flag("end the pause"),
});

type Pause = MachineOutput<"pauses.start">["pauses"][number];

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "pause", {
    input: PauseInput,
    summary: "Store nothing for a while, or until --off.",
    example: { duration: 1_800_000 },
    args: ["duration"],
    run: ({ duration, project, off }) => {
      if (duration !== undefined && off) return wrongWords("give either a duration or --off.");
      return off ? end(cli, project) : start(cli, project, duration);
    },
  });
}

function start(cli: Cli, folder: string | undefined, forMs: number | undefined): Promise<CommandResult> {
  return cli.show("pauses.start", omitUndefined({ project: folder, forMs }), ({ pauses, started }) => {
    const off = `\`${pauseEndCommand(started.project)}\` ends it`;
    const until = started.until === null ? "you say so" : localTime(started.until);
    const line = `Nothing is stored for ${started.project ?? "any project"} until ${until}; ${off}.`;
    return { text: [line, ...otherPauses(pauses, started.project)] };
  });
}

function end(cli: Cli, folder: string | undefined): Promise<CommandResult> {
  return cli.show("pauses.end", omitUndefined({ project: folder }), ({ pauses, ended, project }) => {
    const line = `${ended ? "Saving again" : "There was no pause"} for ${projectText({ project })}.`;
    return { text: [line, ...otherPauses(pauses, project)] };
  });
}

function projectText({ project }: Pick<Pause, "project">): string {
  return project ?? "all projects";
}

function otherPauses(pauses: readonly Pause[], project: string | null): string[] {
  return pauses
    .filter((one) => one.project !== project)
    .map((one) => `Also paused: ${projectText(one)}${one.until === null ? "" : ` until ${localTime(one.until)}`}.`);
}
