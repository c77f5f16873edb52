import type { Command } from "commander";
import { Cli } from "#src/cli/cli.ts";
import { build } from "#src/cli/commands/program.ts";
import { aCliHome } from "./cli-home.ts";

/** The program with all its commands, which do nothing. @param complain gets what commander writes of errors */
export async function idleProgram(complain: (text: string) => void): Promise<Command> {
  const idle = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: complain, writeOut: () => undefined });
    command.action(() => undefined);
    for (const one of command.commands) idle(one);
  };
  const built = await build(new Cli(aCliHome().io()), complain);
  for (const one of built.commands) idle(one);
  return built.exitOverride();
}
