import { dirname, isAbsolute, join, relative } from "node:path";
import type { Command } from "commander";
import { ok } from "../../../../shared/result.ts";
import { shellWord } from "../../../../platform/launch.ts";
import { exitCodes, failed, notFound, wrongUsage, type CliResult } from "../../../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../../../cli.ts";
import { guardState, installGuard, removeGuard, type GuardCommand, type GuardState } from "./hook-file.ts";

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
    .description("install it in this repository; an existing hook is kept and runs first")
    .option("--shared", "also where core.hooksPath names a folder that other repositories use");
  cli.define(install, async (options: Options) =>
    withRepository(cli, (repository) => installIn(cli, repository, options)),
  );
  const remove = command.command("remove").description("remove it; the hook that was there before is restored");
  cli.define(remove, async () => withRepository(cli, (repository) => removeFrom(cli, repository)));
  const status = command.command("status").description("whether it is installed in this repository");
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
  if (output === null) return failed("no_git", "git was not found.");
  const [hooks, common, root] = output.text.trim().split("\n");
  if (output.code !== 0 || hooks === undefined || common === undefined || root === undefined) {
    return wrongUsage(`${io.cwd} is not in a git work tree: ${output.text.trim().split("\n").at(-1) ?? ""}`);
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

/** [FI31] The state of the guard that was installed and is in force no more; else null. */
export function lostGuard(cli: Cli): GuardState | null {
  const repository = findRepository(cli);
  const state = repository.ok ? guardState(repository.value.hooks, guardCommand(cli)) : null;
  return state && !isGuard(state) && (state.kept ?? state.movedGuard) !== null ? state : null;
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
    return ok({ data: toData(stateBefore), text: `Already installed: ${stateBefore.path}\n` });
  const inTheWay = isKeptUndecided(stateBefore) ? howToDecide(stateBefore) : null;
  if (inTheWay !== null) return failed("in_the_way", `${inTheWay} Then repeat \`shim team files guard install\`.`);
  installGuard(stateBefore, command);
  const stateAfter = guardState(hooks, command);
  const kept = stateAfter.kept === null ? "" : `The earlier hook runs first: ${stateAfter.kept}\n`;
  return ok({ data: toData(stateAfter), text: `Installed: ${stateAfter.path}\n${kept}` });
}

/** The user alone knows which of two different hooks is to be the repository's. */
function isKeptUndecided(state: GuardState): boolean {
  return !isGuard(state) && state.kept !== null && !state.isKeptCurrent;
}

/** [FI31] */
function howToDecide({ path, kept, kind }: GuardState): string {
  const [hook, earlier] = [shellWord(path), shellWord(kept ?? "")];
  return kind === "none"
    ? `${kept} is in the way: the hook from before the guard, while ${path} is gone. To have it again: mv ${earlier} ${hook}; to give it up: rm ${earlier}.`
    : `${kept} is in the way: the hook from before the guard, and ${path} is another one now. To keep the one of now: rm ${earlier}; to have the earlier one again: mv ${earlier} ${hook}.`;
}

function removeFrom(cli: Cli, { hooks }: HooksRepository): CommandResult {
  const state = guardState(hooks, guardCommand(cli));
  if (isKeptUndecided(state)) return notFound(`${state.path} is not SHIM's commit guard. ${howToDecide(state)}`);
  if (!isGuard(state) && (state.kept ?? state.movedGuard) === null)
    return notFound(`${state.path} is not SHIM's commit guard.`);
  removeGuard(state);
  return ok({ data: toData(guardState(hooks, guardCommand(cli))), text: `Removed.${whatStays(state)}\n` });
}

function whatStays(before: GuardState): string {
  if (before.kind === "none") return " What was left of the guard is gone.";
  if (!isGuard(before)) return ` What was left of the guard is gone; ${before.path} stays.`;
  return before.kept === null ? "" : ` The earlier hook is restored: ${before.path}`;
}

function showStatus(cli: Cli, { hooks }: HooksRepository): CommandResult {
  const state = guardState(hooks, guardCommand(cli));
  const data = toData(state);
  const kept = state.kept === null ? "" : `, after ${state.kept}`;
  if (state.kind === "installed") return ok({ data, text: `Installed: ${state.path}${kept}\n` });
  if (state.kind === "stale") {
    const text = `${state.path} was installed by another copy of SHIM: \`shim team files guard install\` updates it.\n`;
    return ok({ data, text, isFailed: true });
  }
  const text = `Not installed.${(state.kept ?? state.movedGuard) === null ? "" : ` ${howLost(state)}`}\n`;
  return ok({ data, text, exit: exitCodes.notFound });
}

/** [FI31] Why a guard that was installed is not in force, and what brings it back. */
export function howLost(state: GuardState): string {
  if (isKeptUndecided(state)) return howToDecide(state);
  const why =
    state.kind === "none"
      ? `${state.path} is gone: the guard was renamed to ${state.movedGuard ?? "another name"}.`
      : `A hook manager has put ${state.path} in its place.`;
  return `${why} \`shim team files guard install\` brings it back, \`remove\` clears what is left of it.`;
}

function isGuard({ kind }: GuardState): boolean {
  return kind === "installed" || kind === "stale";
}

function toData(state: GuardState) {
  return { isInstalled: isGuard(state), isStale: state.kind === "stale", path: state.path, kept: state.kept };
}
