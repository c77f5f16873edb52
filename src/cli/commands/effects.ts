import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { tableView } from "../view.ts";
import { effectOperations } from "../../contract/machine/effects.ts";

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "effects", {
    operation: "effects.list",
    of: effectOperations,
    args: ["session"],
    isVerbatim: true,
    view: tableView({
      rows: ({ effects }) => effects,
      columns: ({ effects }) => ({
        WHEN: ({ at }) => cli.ago(at),
        SESSION: "shortId",
        KIND: "kind",
        COMMAND: "text",
        OUTCOME: "outcomeText",
        ...(effects.some(({ found }) => found !== null)
          ? {
              CHECKED: ({ found }: (typeof effects)[number]) =>
                found === null ? "-" : `${verdicts[String(found.isThere) as keyof typeof verdicts]}: ${found.text}`,
            }
          : { "TO FIND OUT": ({ check }: (typeof effects)[number]) => check }),
      }),
      empty: "Nothing that cannot be undone is known.",
      notes: (_output, _cli, { input: { check = false } }) => [
        !check && "`shim effects --check` asks the git remotes, the npm registry, and GitHub or GitLab.",
      ],
    }),
  });
}

const verdicts = { true: "there", false: "NOT there", null: "open" };
