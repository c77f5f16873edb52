import type { Command } from "commander";
import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView } from "../../views.ts";

/** [SY74] */
export function addLeave(join: Command, cli: Cli): void {
  defineOperation(cli, join, "leave", {
    operation: "workspace.leave",
    before: async ({ forget }) => {
      const current = await cli.call("workspace.current", {});
      if (!current.ok) return current;
      const { joined, problem } = current.value;
      if (joined === null) return ok(problem && "Leave the workspace of an unreadable edge.json?");
      const { url, workspace, hasSynced, loss } = joined;
      const copies = hasSynced && forget !== true ? " What it has stored there stays; --forget deletes that too." : "";
      return ok(
        `Leave ${url}, workspace ${workspace}? The token is deleted here; also revoke it there.${loss}${copies}`,
      );
    },
    view: linesView(({ left, purged, leavesCopies }) =>
      [
        `Left ${left}; this machine is its own coordinator again.`,
        purged
          ? `${pluralize(purged.sessions, "session")} and ${pluralize(purged.checkpoints, "checkpoint")} of this machine were deleted there.`
          : [],
        leavesCopies ? "Its sessions stay there until they are too old; the key stays on this machine." : [],
      ].flat(),
    ),
  });
}
