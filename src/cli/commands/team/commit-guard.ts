import type { Command } from "commander";
import { exitCodes } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView } from "../../views.ts";

export function addFilesGuard(files: Command, cli: Cli): void {
  const command = files
    .command("guard")
    .description("a git hook that refuses commits of files that another chat has reserved");
  const fixed = { folder: cli.io.cwd };
  defineOperation(cli, command, "install", {
    operation: "commit-guard.install",
    fixed,
    view: linesView(({ wasInstalled, path, kept }) => {
      if (wasInstalled) return [`Already installed: ${path}`];
      return [`Installed: ${path}`, ...(kept === null ? [] : [`The earlier hook runs first: ${kept}`])];
    }),
  });
  defineOperation(cli, command, "remove", {
    operation: "commit-guard.remove",
    fixed,
    view: linesView(({ wasGuard, restored, path }) => {
      if (!wasGuard) return ["Removed. What was left of the guard is gone."];
      return [`Removed.${restored ? ` The earlier hook is restored: ${path}` : ""}`];
    }),
  });
  defineOperation(cli, command, "status", {
    operation: "commit-guard.status",
    fixed,
    exitOf: ({ isInstalled, isStale }) => {
      if (isStale) return exitCodes.failed;
      return isInstalled ? exitCodes.ok : exitCodes.notFound;
    },
    view: linesView(({ isInstalled, isStale, path, kept, problem }) => {
      if (isStale)
        return [`${path} was installed by another copy of SHIM: \`shim team files guard install\` updates it.`];
      if (isInstalled) return [`Installed: ${path}${kept === null ? "" : `, after ${kept}`}`];
      return [`Not installed.${problem === null ? "" : ` ${problem}`}`];
    }),
  });
}
