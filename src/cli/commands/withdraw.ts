import type { Command } from "commander";
import { quotedTitle } from "../../shared/format.ts";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { handoverOperations } from "../../contract/machine/handover.ts";

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "withdraw", {
    operation: "handover.withdraw",
    of: handoverOperations,
    args: ["session"],
    fixed: { folder: cli.io.cwd },
    view: ({ shortId, title, ended }) => [
      ended === 0
        ? `There is no link of ${quotedTitle(title)} (${shortId}) that could still be taken.`
        : `The link of ${quotedTitle(title)} (${shortId}) is withdrawn: it opens nothing any more.`,
    ],
  });
}
