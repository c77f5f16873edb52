import { Argument, type Command } from "commander";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommonOptions } from "../../cli.ts";
import { commandTable, type CommandRow } from "../../command-table.ts";
import { bashCompletion } from "./completion/bash.ts";
import { fishCompletion } from "./completion/fish.ts";
import { zshCompletion } from "./completion/zsh.ts";

const shells: Readonly<Record<string, (table: CommandRow) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** [IP6] */
export function addCommand(init: Command, cli: Cli): void {
  const command = init
    .command("completion")
    .description("print a shell's completion of `shim`")
    .addArgument(new Argument("<shell>", "bash, zsh or fish").choices(Object.keys(shells)));
  cli.define(command, async (_options: CommonOptions, shell: string) => {
    const text = init.parent === null ? "" : (shells[shell]?.(commandTable(init.parent)) ?? "");
    return ok({ data: { shell, text }, text, isVerbatim: true });
  });
}
