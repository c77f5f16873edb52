import type { Command } from "commander";
import { ok } from "../../shared/result.ts";
import type { Cli } from "../cli.ts";
import { defineOperation } from "../operation-command.ts";

export function addCommand(program: Command, cli: Cli): void {
  const command = defineOperation(cli, program, "config", {
    operation: "config.show",
    view: ({ config }) => [JSON.stringify(config, null, 2)],
  });
  defineOperation(cli, command, "get", {
    operation: "config.get",
    args: ["key"],
    view: ({ value }) => [typeof value === "string" ? value : JSON.stringify(value, null, 2)],
  });
  defineOperation(cli, command, "set", {
    operation: "config.set",
    args: ["key", "value"],
    view: changedLines,
    after: async ({ key }) => {
      if (!key.startsWith("notify")) return;
      const answer = await cli.call("checks.run", { group: "notifications" });
      for (const { state, text, fix } of answer.ok ? answer.value.checks : [])
        if (state === "warn") cli.progress(`${text}. ${fix}`);
    },
  });
  defineOperation(cli, command, "unset", { operation: "config.unset", args: ["key"], view: changedLines });
  const path = command.command("path").description("where the file is");
  cli.define(path, "", async () => ok({ data: { path: cli.paths.config }, text: `${cli.paths.config}\n` }));
}

function changedLines({ key, value }: { readonly key: string; readonly value: unknown }): string[] {
  return [`${key} is ${JSON.stringify(value)}`];
}
