import type { Command } from "commander";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { chainedLine, renderLine } from "./statusline/chained-line.ts";

/** The launcher takes the program in statusline-entry.ts, which starts faster; this is the same for who starts dist/cli.mjs. */
export function addStatusline(program: Command, cli: Cli): void {
  const command = program.command("statusline").description("status line; runs your own command first");
  cli.define(command, () => statusline(cli));
}

async function statusline(cli: Cli): Promise<CommandResult> {
  const { env, cwd } = cli.io;
  const host = { env, cwd, configPath: cli.paths.config, makeRuntime: () => cli.runtime() };
  const line = await chainedLine(host, await cli.io.readInput());
  return ok({ data: line, text: renderLine(line) });
}
