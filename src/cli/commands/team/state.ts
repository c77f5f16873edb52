import type { Command } from "commander";
import { age, oneLine } from "../../../shared/format.ts";
import { notFound, type FailedResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { linesView, tableView } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";

export function addCommand(program: Command, cli: Cli): void {
  const command = program.command("state").description("shared, versioned values");
  defineWork(cli, command, "get", {
    operation: "state.get",
    args: ["key"],
    refuse: ({ entry }, { key }) => (entry ? null : noKey(key)),
    view: linesView(({ entry }) => [JSON.stringify(entry?.value)]),
  });
  defineWork(cli, command, "set", {
    operation: "state.set",
    args: ["key", "value"],
    summary: "Set a value: JSON, otherwise stored as text.",
    isAsked: false,
    view: linesView(({ version }, _cli, { input: { key } }) => [`${key} is set, version ${version}.`]),
  });
  defineWork(cli, command, "delete", {
    operation: "state.delete",
    args: ["key"],
    refuse: ({ isDeleted }, { key }) => (isDeleted ? null : noKey(key)),
    view: linesView((_output, _cli, { input: { key } }) => [`${key} is deleted.`]),
  });
  defineWork(cli, command, "list", {
    operation: "state.list",
    args: ["prefix"],
    summary: "Keys, by prefix.",
    view: tableView({
      rows: ({ entries }) => entries,
      columns: () => ({
        KEY: ({ key }) => key,
        VERSION: ({ version }) => String(version),
        SET: ({ ageMs }) => `${age(ageMs)} ago`,
        VALUE: ({ value }) => oneLine(JSON.stringify(value), 60),
      }),
      empty: "No keys.",
    }),
  });
}

function noKey(key: string): FailedResult {
  return notFound(`there is no key ${key}.`);
}
