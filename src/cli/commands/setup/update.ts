import type { Command } from "commander";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView } from "../../views.ts";

export function addCommand(program: Command, cli: Cli): void {
  defineOperation(cli, program, "update", {
    operation: "updates.check",
    view: linesView(({ version, latest, isNewer, command }) =>
      isNewer
        ? [`SHIM ${latest} is there; this is ${version}. To update:`, `  ${command}`]
        : [`SHIM ${version} is the newest version.`],
    ),
  });
}
