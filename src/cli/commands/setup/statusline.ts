import type { Command } from "commander";
import type { ChatStatus } from "../../../contract/machine/status-line.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { chainedLine, renderLine } from "./statusline/chained-line.ts";

/** The launcher starts statusline-entry.ts, which is faster; this command serves dist/cli.mjs. */
export function addCommand(program: Command, cli: Cli): void {
  const command = program.command("statusline").description("status line; runs your own command first");
  cli.define(command, () => statusline(cli));
}

async function statusline(cli: Cli): Promise<CommandResult> {
  const { env, cwd } = cli.io;
  const statusOf = async (text: string): Promise<ChatStatus | null> => {
    const answer = await cli.call("statusline.get", { text });
    return answer.ok ? answer.value : null;
  };
  const line = await chainedLine({ env, cwd, configPath: cli.paths.config, statusOf }, await cli.io.readInput());
  return ok({ data: line, text: renderLine(line) });
}
