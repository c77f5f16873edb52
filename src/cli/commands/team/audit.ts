import type { Command } from "commander";
import type { AuditEntry } from "../../../contract/workspaces.ts";
import { age, oneLine } from "../../../shared/format.ts";
import type { Cli } from "../../cli.ts";
import { tableView } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";

export function addCommand(program: Command, cli: Cli): void {
  defineWork(cli, program, "audit", {
    operation: "audit.list",
    usualLimit: 50,
    view: tableView({
      rows: ({ entries }) => entries,
      columns: () => ({
        NUMBER: ({ seq }) => String(seq),
        WHEN: ({ ageMs }) => `${age(ageMs)} ago`,
        KIND: ({ kind }) => kind,
        SUBJECT: ({ subject }) => subject,
        ACTOR: ({ actor }) => actor ?? "-",
        DETAIL: ({ detail }) => oneLine(detailText(detail), 80),
      }),
      empty: "No entries.",
    }),
  });
}

function detailText(detail: AuditEntry["detail"]): string {
  if (typeof detail !== "object" || detail === null) return "-";
  const pairs = Object.entries(detail).map(
    ([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return pairs.join(", ") || "-";
}
