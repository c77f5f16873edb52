import type { Command } from "commander";
import { ok } from "../../../shared/result.ts";
import { wrongUsage } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";

interface NameOptions extends CommonOptions {
  readonly clear?: boolean;
}

export function addName(parent: Command, cli: Cli): void {
  const command = parent
    .command("name <session> [name]")
    .description("give a session a name, which lists and briefs show instead of its first request")
    .option("--clear", "remove the name");
  cli.define(command, (options: NameOptions, session: string, name?: string) => setName(cli, options, session, name));
}

async function setName(
  cli: Cli,
  { clear }: NameOptions,
  session: string,
  given: string | undefined,
): Promise<CommandResult> {
  if ((given === undefined) === (clear !== true)) return wrongUsage("give either a name or --clear.");
  const answer = await cli.call("sessions.name", { session, name: given ?? null });
  if (!answer.ok) return answer;
  const { shortId, name, title } = answer.value;
  const text =
    name === null
      ? `${shortId} has no name now; its title is "${title ?? "untitled"}".\n`
      : `${shortId} is called "${name}".\n`;
  return ok({ data: answer.value, text });
}
