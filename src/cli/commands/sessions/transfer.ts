import { rmSync } from "node:fs";
import type { Command } from "commander";
import { readFileLines } from "../../../platform/line-file.ts";
import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView } from "../../views.ts";

export function addCommand(parent: Command, cli: Cli): void {
  addExport(parent, cli);
  addImport(parent, cli);
}

function addExport(parent: Command, cli: Cli): void {
  defineOperation(cli, parent, "export", {
    operation: "sessions.export",
    args: ["file"],
    before: async ({ file }, _cli, { json }) =>
      file === undefined && json === true
        ? wrongUsage("with --json name a file: without one stdout holds the export itself.")
        : ok(null),
    view: ({ file, isTemporary, lines, session }) => {
      if (isTemporary) return print(cli, file);
      const what = session === null ? pluralize(lines, "line") : `session ${session}`;
      return `Exported ${what} to ${file}. Snapshots of files are not in it.\n`;
    },
  });
}

function print(cli: Cli, file: string): string {
  try {
    for (const line of readFileLines(file)) cli.io.stdout(`${line}\n`);
    return "";
  } finally {
    rmSync(file);
  }
}

function addImport(parent: Command, cli: Cli): void {
  defineOperation(cli, parent, "import", {
    operation: "sessions.import",
    args: ["file"],
    view: linesView(({ added, skipped }) => [`Imported ${pluralize(added, "row")}; already here: ${skipped}.`]),
  });
}
