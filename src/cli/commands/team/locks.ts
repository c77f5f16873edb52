import type { Command } from "commander";
import { age } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { notFound } from "../../answer.ts";
import type { Cli, CommonOptions } from "../../cli.ts";
import { withLink } from "../../coordinator-link.ts";
import { defineList } from "../../list-command.ts";
import { chatLabels } from "./chat-names.ts";
import { addLockRun } from "./lock-run.ts";

export function addLocks(program: Command, cli: Cli): void {
  const command = program.command("locks").description("exclusive rights to resources, and their holders");
  defineList(cli, command.command("list [prefix]").description("leases that are held"), {
    operation: "leases.list",
    input: (prefix = "") => ({ prefix }),
    columns: async (link) => {
      const label = await chatLabels(cli, link);
      return {
        RESOURCE: ({ resource }) => resource,
        HOLDER: ({ holder }) => label(holder),
        TOKEN: ({ token }) => String(token),
        UNTIL: ({ isBound, remainingMs }) => (isBound ? "while it lives" : `${age(remainingMs)} left`),
        "HELD FOR": ({ heldForMs }) => age(heldForMs),
      };
    },
    empty: "No leases are held.\n",
  });
  addLockRun(command, cli);
  const force = command
    .command("force-release <resource>")
    .description("take a lease away from its holder")
    .requiredOption("--reason <text>", "recorded in the audit log");
  cli.define(force, ({ reason }: CommonOptions & { readonly reason: string }, resource: string) =>
    withLink(cli, async (link) => {
      const done = await link.call("leases.force-release", { resource, reason });
      if (!done.ok) return done;
      if (!done.value.isReleased) return notFound(`${resource} is not held.`);
      const text = `${resource} is free. Its former holder may still be working, but its token is no longer valid.\n`;
      return ok({ data: done.value, text });
    }),
  );
}
