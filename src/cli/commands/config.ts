import type { Command } from "commander";
import { ok } from "../../shared/result.ts";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { installationOperations } from "../../contract/machine/installation.ts";

export function addCommand(program: Command, cli: Cli): void {
  const command = define(cli, program, "config", {
    operation: "config.show",
    of: installationOperations,
    view: ({ config }) => [JSON.stringify(config, null, 2)],
  });
  define(cli, command, "get", {
    operation: "config.get",
    of: installationOperations,
    args: ["key"],
    view: ({ value }) => [typeof value === "string" ? value : JSON.stringify(value, null, 2)],
  });
  define(cli, command, "set", {
    operation: "config.set",
    of: installationOperations,
    args: ["key", "value"],
    view: async (changed) => {
      const isNotify = changed.key.startsWith("notify");
      const answer = isNotify ? await cli.call("checks.run", { group: "notifications" }) : null;
      for (const { state, text, fix } of answer?.ok ? answer.value.checks : [])
        if (state === "warn") cli.progress(`${text}. ${fix}`);
      return changedLines(changed);
    },
  });
  define(cli, command, "unset", {
    operation: "config.unset",
    of: installationOperations,
    args: ["key"],
    view: changedLines,
  });
  define(cli, command, "path", {
    summary: "Where the file is.",
    run: () => ok({ data: { path: cli.paths.config }, text: [cli.paths.config] }),
  });
}

function changedLines({ key, value }: { readonly key: string; readonly value: unknown }): string[] {
  return [`${key} is ${JSON.stringify(value)}`];
}
