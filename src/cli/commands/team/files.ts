import type { Command } from "commander";
import { age, oneLine } from "../../../shared/format.ts";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView, tableView } from "../../views.ts";
import { addFilesGuard } from "./commit-guard.ts";

export function addCommand(program: Command, cli: Cli): void {
  const command = program.command("files").description("files of this project that chats have reserved");
  const fixed = { folder: cli.io.cwd };
  defineOperation(cli, command, "list", {
    operation: "reservations.list",
    fixed,
    view: tableView({
      rows: ({ files }) => files,
      columns: () => ({
        PATH: ({ path }) => path,
        "RESERVED BY": ({ name }) => oneLine(name ?? "-", 40),
        CHAT: ({ chat }) => chat,
        MACHINE: ({ machine }) => machine ?? "-",
        SINCE: ({ heldForMs }) => `${age(heldForMs)} ago`,
      }),
      empty: "Nothing is reserved in this project.",
    }),
  });
  defineOperation(cli, command, "reserve", {
    operation: "reservations.create",
    rest: "paths",
    fixed,
    view: linesView(({ forMs, files }) => [
      `Reserved for ${age(forMs)}: ${files.map(({ path }) => path).join(", ")}. The edit tools of chats respect this; writes by a shell are not detected.`,
    ]),
  });
  defineOperation(cli, command, "release", {
    operation: "reservations.release",
    rest: "paths",
    fixed,
    view: linesView(({ released }) => [`Released: ${released.join(", ")}.`]),
  });
  addFilesGuard(command, cli);
}
