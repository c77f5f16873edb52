import { dirname, join, relative, isAbsolute } from "node:path";
import type { Command } from "commander";
import { ok, type Result } from "../../shared/result.ts";
import { exitCodes, failed, notFound, wrongUsage, type Refused } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import {
  guardState,
  installGuard,
  removeGuard,
  type GuardCommand,
  type GuardState,
} from "../commit-guard/hook-file.ts";

interface Options extends Common {
  readonly shared?: boolean;
}

interface Repository {
  readonly hooks: string;
  /** Other repositories have the same hooks. */
  readonly isShared: boolean;
}

export function addFilesGuard(files: Command, cli: Cli): void {
  const command = files
    .command("guard")
    .description("a git hook that refuses commits of files that another chat has reserved");
  const install = command
    .command("install")
    .description("put it into this repository; a hook that is there is kept and runs first")
    .option("--shared", "also where core.hooksPath names a folder that other repositories use");
  cli.define(install, async (options: Options) => guarded(cli, (repository) => installIn(cli, repository, options)));
  const remove = command.command("remove").description("take it out; the hook that was there before comes back");
  cli.define(remove, async () => guarded(cli, (repository) => removeFrom(cli, repository)));
  const status = command.command("status").description("whether it is in this repository");
  cli.define(status, async () => guarded(cli, (repository) => statusOf(cli, repository)));
}

function guarded(cli: Cli, body: (repository: Repository) => Outcome): Outcome {
  const repository = repositoryOf(cli);
  return repository.ok ? body(repository.value) : repository;
}

/** Git says where hooks are: core.hooksPath, and the one folder of all work trees. */
function repositoryOf({ io }: Cli): Result<Repository, Refused["error"]> {
  const words = ["rev-parse", "--path-format=absolute", "--git-path", "hooks", "--git-common-dir", "--show-toplevel"];
  const asked = io.runQuietly("git", ["-C", io.cwd, ...words]);
  if (asked === null) return failed("no_git", "there is no git here.");
  const [hooks, common, root] = asked.text.trim().split("\n");
  if (asked.code !== 0 || hooks === undefined || common === undefined || root === undefined) {
    return wrongUsage(`${io.cwd} is in no work tree of git: ${asked.text.trim().split("\n").at(-1) ?? ""}`);
  }
  return ok({ hooks, isShared: !isBelow(hooks, common) && !isBelow(hooks, root) });
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return !way.startsWith("..") && !isAbsolute(way);
}

function commandOf({ io }: Cli): GuardCommand {
  const { node, hookScript } = io.launch;
  return { node, script: join(dirname(hookScript), "commit-guard.cjs"), home: io.env["SHIM_HOME"] };
}

/** [FI23] */
function installIn(cli: Cli, { hooks, isShared }: Repository, { shared }: Options): Outcome {
  const command = commandOf(cli);
  if (!cli.io.machine.exists(command.script)) {
    return failed("not_built", `${command.script} is missing. In a clone run: npm ci && npm run build`);
  }
  if (isShared && shared !== true) {
    return wrongUsage(
      `core.hooksPath names ${hooks}, whose hooks run in other repositories, too. Add --shared to install it there.`,
    );
  }
  const before = guardState(hooks, command);
  if (before.kind === "installed")
    return ok({ data: dataOf(before), text: `It is installed already: ${before.path}\n` });
  if (before.kind !== "stale" && before.kept !== null) {
    return failed(
      "in_the_way",
      `${before.kept} is in the way: an earlier hook that was kept. Put it back or move it first.`,
    );
  }
  installGuard(before, command);
  const after = guardState(hooks, command);
  const kept = after.kept === null ? "" : `The hook that was there runs first: ${after.kept}\n`;
  return ok({ data: dataOf(after), text: `Installed: ${after.path}\n${kept}` });
}

function removeFrom(cli: Cli, { hooks }: Repository): Outcome {
  const found = guardState(hooks, commandOf(cli));
  if (!isGuard(found)) {
    const kept = found.kept === null ? "" : ` What was there before it is kept in ${found.kept}.`;
    return notFound(`${found.path} is not SHIM's commit guard.${kept}`);
  }
  removeGuard(found);
  const back = found.kept === null ? "" : ` The hook that was there before it is back: ${found.path}`;
  return ok({ data: dataOf(guardState(hooks, commandOf(cli))), text: `Removed.${back}\n` });
}

function statusOf(cli: Cli, { hooks }: Repository): Outcome {
  const found = guardState(hooks, commandOf(cli));
  const data = dataOf(found);
  const kept = found.kept === null ? "" : `, after ${found.kept}`;
  if (found.kind === "installed") return ok({ data, text: `Installed: ${found.path}${kept}\n` });
  if (found.kind === "stale") {
    const text = `${found.path} was installed by another copy of SHIM: \`shim files guard install\` renews it.\n`;
    return ok({ data, text, isFailed: true });
  }
  return ok({ data, text: "Not installed.\n", exit: exitCodes.notFound });
}

function isGuard({ kind }: GuardState): boolean {
  return kind === "installed" || kind === "stale";
}

function dataOf(state: GuardState) {
  return { isInstalled: isGuard(state), isStale: state.kind === "stale", path: state.path, kept: state.kept };
}
