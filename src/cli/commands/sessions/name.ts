import type { Command } from "commander";
import { ok } from "../../../shared/result.ts";
import { redact } from "../../../redaction/redact.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import { wrongUsage } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { findSession, shortSession } from "../../resolve-id.ts";
import { oneLine, safeText } from "../../screen-text.ts";

interface NameOptions extends CommonOptions {
  readonly clear?: boolean;
}

const maxNameChars = 100;

export function addName(program: Command, cli: Cli): void {
  const command = program
    .command("name <session> [name]")
    .description("give a session a name, which lists and briefs show instead of its first request")
    .option("--clear", "remove the name");
  cli.define(command, (options: NameOptions, id: string, name?: string) => setName(cli, options, id, name));
}

async function setName(
  cli: Cli,
  { clear }: NameOptions,
  id: string,
  given: string | undefined,
): Promise<CommandResult> {
  if ((given === undefined) === (clear !== true)) return wrongUsage("give either a name or --clear.");
  const name = given === undefined ? null : redact(oneLine(safeText(given), Number.MAX_SAFE_INTEGER)).text;
  if (name === "") return wrongUsage("the name is empty. --clear removes a name.");
  if (name !== null && name.length > maxNameChars) {
    return wrongUsage(`the name is longer than ${maxNameChars} characters.`);
  }
  const runtime = await cli.runtime();
  const found = findSession(runtime, id);
  if (!found.ok) return found;
  const session = found.value;
  runtime.store.write((sql) => sessions.rename(sql, session.id, name));
  const title = sessions.displayTitle({ ...session, name });
  const short = shortSession(runtime, session.id);
  const text =
    name === null
      ? `${short} has no name now; its title is "${title ?? "untitled"}".\n`
      : `${short} is called "${name}".\n`;
  return ok({ data: { session: session.id, name, title }, text });
}
