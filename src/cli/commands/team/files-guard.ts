import { dirname, join, relative, isAbsolute } from "node:path";
import type { Command } from "commander";
import { ok } from "../../../shared/result.ts";
import { exitCodes, failed, notFound, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { guardState, installGuard, removeGuard, type GuardCommand, type GuardState } from "./commit-guard/hook-file.ts";

interface Options extends CommonOptions {
  readonly shared?: boolean;
}

interface HooksRepository {
  readonly hooks: string;
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
  cli.define(install, async (options: Options) =>
    withRepository(cli, (repository) => installIn(cli, repository, options)),
  );
  const remove = command.command("remove").description("take it out; the hook that was there before comes back");
  cli.define(remove, async () => withRepository(cli, (repository) => removeFrom(cli, repository)));
  const status = command.command("status").description("whether it is in this repository");
  cli.define(status, async () => withRepository(cli, (repository) => showStatus(cli, repository)));
}

function withRepository(cli: Cli, body: (repository: HooksRepository) => CommandResult): CommandResult {
  const repository = findRepository(cli);
  return repository.ok ? body(repository.value) : repository;
}

/** Git resolves core.hooksPath, and the one folder of all work trees. */
function findRepository({ io }: Cli): CliResult<HooksRepository> {
  const gitArgs = ["rev-parse", "--path-format=absolute", "--git-path", "hooks", "--git-common-dir", "--show-toplevel"];
  const output = io.runQuietly("git", ["-C", io.cwd, ...gitArgs]);
  if (output === null) return failed("no_git", "there is no git here.");
  const [hooks, common, root] = output.text.trim().split("\n");
  if (output.code !== 0 || hooks === undefined || common === undefined || root === undefined) {
    return wrongUsage(`${io.cwd} is in no work tree of git: ${output.text.trim().split("\n").at(-1) ?? ""}`);
  }
  return ok({ hooks, isShared: !isBelow(hooks, common) && !isBelow(hooks, root) });
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return !way.startsWith("..") && !isAbsolute(way);
}

function guardCommand({ io }: Cli): GuardCommand {
  const { node, hookScript } = io.launch;
  return { node, script: join(dirname(hookScript), "commit-guard.cjs"), home: io.env["SHIM_HOME"] };
}

function installIn(cli: Cli, { hooks, isShared }: HooksRepository, { shared }: Options): CommandResult {
  const command = guardCommand(cli);
  if (!cli.io.machine.exists(command.script)) {
    return failed("not_built", `${command.script} is missing. In a clone run: npm ci && npm run build`);
  }
  if (isShared && shared !== true) {
    return wrongUsage(
      `core.hooksPath names ${hooks}, whose hooks run in other repositories, too. Add --shared to install it there.`,
    );
  }
  const stateBefore = guardState(hooks, command);
  if (stateBefore.kind === "installed")
    return ok({ data: toData(stateBefore), text: `It is installed already: ${stateBefore.path}\n` });
  if (stateBefore.kind !== "stale" && stateBefore.kept !== null) {
    return failed(
      "in_the_way",
      `${stateBefore.kept} is in the way: an earlier hook that was kept. Put it back or move it first.`,
    );
  }
  installGuard(stateBefore, command);
  const stateAfter = guardState(hooks, command);
  const kept = stateAfter.kept === null ? "" : `The hook that was there runs first: ${stateAfter.kept}\n`;
  return ok({ data: toData(stateAfter), text: `Installed: ${stateAfter.path}\n${kept}` });
}

function removeFrom(cli: Cli, { hooks }: HooksRepository): CommandResult {
  const state = guardState(hooks, guardCommand(cli));
  if (!isGuard(state)) {
    const kept = state.kept === null ? "" : ` What was there before it is kept in ${state.kept}.`;
    return notFound(`${state.path} is not SHIM's commit guard.${kept}`);
  }
  removeGuard(state);
  const back = state.kept === null ? "" : ` The hook that was there before it is back: ${state.path}`;
  return ok({ data: toData(guardState(hooks, guardCommand(cli))), text: `Removed.${back}\n` });
}

function showStatus(cli: Cli, { hooks }: HooksRepository): CommandResult {
  const state = guardState(hooks, guardCommand(cli));
  const data = toData(state);
  const kept = state.kept === null ? "" : `, after ${state.kept}`;
  if (state.kind === "installed") return ok({ data, text: `Installed: ${state.path}${kept}\n` });
  if (state.kind === "stale") {
    const text = `${state.path} was installed by another copy of SHIM: \`shim files guard install\` renews it.\n`;
    return ok({ data, text, isFailed: true });
  }
  return ok({ data, text: "Not installed.\n", exit: exitCodes.notFound });
}

function isGuard({ kind }: GuardState): boolean {
  return kind === "installed" || kind === "stale";
}

function toData(state: GuardState) {
  return { isInstalled: isGuard(state), isStale: state.kind === "stale", path: state.path, kept: state.kept };
}
