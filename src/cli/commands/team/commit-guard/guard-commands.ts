import type { Command } from "commander";
import { ok } from "../../../../shared/result.ts";
import { guardState, installGuard, removeGuard, type GuardState } from "../../../../local-mcp/team/guard-hook.ts";
import {
  findRepository,
  guardCommand,
  howLost,
  howToDecide,
  isGuard,
  isKeptUndecided,
  type HooksRepository,
} from "../../../../local-mcp/team/guard-repository.ts";
import { exitCodes, failed, notFound, wrongUsage } from "../../../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../../../cli.ts";

interface Options extends CommonOptions {
  readonly shared?: boolean;
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
  const found = findRepository(cli.io, cli.io.cwd);
  if (found.ok) return body(found.value);
  const { code, message } = found.error;
  return code === "no_git" ? failed(code, message) : wrongUsage(message);
}

function installIn(cli: Cli, { hooks, isShared }: HooksRepository, { shared }: Options): CommandResult {
  const command = guardCommand(cli.io);
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

function removeFrom(cli: Cli, { hooks }: HooksRepository): CommandResult {
  const state = guardState(hooks, guardCommand(cli.io));
  if (isKeptUndecided(state)) return notFound(`${state.path} is not SHIM's commit guard. ${howToDecide(state)}`);
  if (!isGuard(state) && (state.kept ?? state.movedGuard) === null)
    return notFound(`${state.path} is not SHIM's commit guard.`);
  removeGuard(state);
  return ok({ data: toData(guardState(hooks, guardCommand(cli.io))), text: `Removed.${whatStays(state)}\n` });
}

function whatStays(before: GuardState): string {
  if (before.kind === "none") return " What was left of the guard is gone.";
  if (!isGuard(before)) return ` What was left of the guard is gone; ${before.path} stays.`;
  return before.kept === null ? "" : ` The earlier hook is restored: ${before.path}`;
}

function showStatus(cli: Cli, { hooks }: HooksRepository): CommandResult {
  const state = guardState(hooks, guardCommand(cli.io));
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

function toData(state: GuardState) {
  return { isInstalled: isGuard(state), isStale: state.kind === "stale", path: state.path, kept: state.kept };
}
