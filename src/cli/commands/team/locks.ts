import type { Command } from "commander";
import { age } from "../../../shared/format.ts";
import { notFound } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { linesView, tableView } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";
import { addLockRun } from "./run-holding.ts";

export function addCommand(program: Command, cli: Cli): void {
  const command = program.command("locks").description("exclusive rights to resources, and their holders");
  defineWork(cli, command, "list", {
    operation: "leases.list",
    args: ["prefix"],
    hidden: ["holder"],
    isLabelled: true,
    view: tableView({
      rows: ({ leases }) => leases,
      columns: (_output, _cli, { label }) => ({
        RESOURCE: ({ resource }) => resource,
        HOLDER: ({ holder }) => label(holder),
        TOKEN: ({ token }) => String(token),
        UNTIL: ({ isBound, remainingMs }) => (isBound ? "while it lives" : `${age(remainingMs)} left`),
        "HELD FOR": ({ heldForMs }) => age(heldForMs),
      }),
      empty: "No leases are held.",
    }),
  });
  addLockRun(command, cli);
  defineWork(cli, command, "force-release", {
    operation: "leases.force-release",
    args: ["resource"],
    refuse: ({ isReleased }, { resource }) => (isReleased ? null : notFound(`${resource} is not held.`)),
    view: linesView((_output, _cli, { input: { resource } }) => [
      `${resource} is free. Its former holder may still be working, but its token is no longer valid.`,
    ]),
  });
}
