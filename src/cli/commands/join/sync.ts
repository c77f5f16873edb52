import type { Command } from "commander";
import type { SyncCounts } from "../../../contract/machine/workspaces.ts";
import { pluralize } from "../../../shared/format.ts";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView } from "../../views.ts";

export function addSync(join: Command, cli: Cli): void {
  defineOperation(cli, join, "sync", { operation: "workspace.sync", view: linesView(syncLines) });
}

export function syncLines({ sessions, checkpoints, forgotten, files, received, refused, left }: SyncCounts): string[] {
  const withFiles = files > 0 ? `, uncommitted files of ${pluralize(files, "session")}` : "";
  return [
    `Sent: ${pluralize(sessions, "session")}, ${pluralize(checkpoints, "checkpoint")}, ${pluralize(forgotten, "deletion")}${withFiles}. Received: ${pluralize(received, "session")} of other machines.`,
    refused > 0 ? `${refused} envelopes of other machines were refused; shim.log names them.` : [],
    left > 0 ? `Left: ${pluralize(left, "change")}.` : [],
  ].flat();
}
