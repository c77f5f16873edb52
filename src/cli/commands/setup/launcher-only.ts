import type { Command } from "commander";
import { failed } from "../../answer.ts";
import type { Cli } from "../../cli.ts";

/** The launcher bin/shim.mjs starts both as programs that load nothing of this one. */
export function addLauncherOnly(program: Command, cli: Cli): void {
  const launcherOnlyError = failed(
    "not_by_launcher",
    "this is started through bin/shim.mjs, which has a program of its own for it.",
  );
  cli.define(program.command("mcp").description("the MCP server of one chat, on stdio"), async () => launcherOnlyError);
  cli.define(
    program.command("hook <event>").description("one hook event, as JSON on stdin"),
    async () => launcherOnlyError,
  );
}
