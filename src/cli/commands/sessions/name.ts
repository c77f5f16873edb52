import type { Command } from "commander";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView } from "../../views.ts";

export function addCommand(parent: Command, cli: Cli): void {
  defineOperation(cli, parent, "name", {
    operation: "sessions.name",
    args: ["session", "name"],
    view: linesView(({ shortId, name, title }) => [
      name === null
        ? `${shortId} has no name now; its title is "${title ?? "untitled"}".`
        : `${shortId} is called "${name}".`,
    ]),
  });
}
