import { dirname, isAbsolute, join, relative } from "node:path";
import type { ServiceSite } from "../../installer/service.ts";
import { shellWord, type Launch } from "../../platform/launch.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { guardState, type GuardCommand, type GuardState } from "./guard-hook.ts";

export interface HooksRepository {
  readonly hooks: string;
  readonly isShared: boolean;
}

interface GuardSite extends Pick<ServiceSite, "runQuietly"> {
  readonly launch: Launch;
  readonly env: NodeJS.ProcessEnv;
}

interface GuardError {
  readonly code: "no_git" | "not_found";
  readonly message: string;
}

/** Git resolves core.hooksPath, and the one folder of all work trees. */
export function findRepository(
  site: Pick<GuardSite, "runQuietly">,
  folder: string,
): Result<HooksRepository, GuardError> {
  const gitArgs = ["rev-parse", "--path-format=absolute", "--git-path", "hooks", "--git-common-dir", "--show-toplevel"];
  const output = site.runQuietly("git", ["-C", folder, ...gitArgs]);
  if (output === null) return err({ code: "no_git", message: "git was not found." });
  const [hooks, common, root] = output.text.trim().split("\n");
  if (output.code !== 0 || hooks === undefined || common === undefined || root === undefined) {
    const reason = output.text.trim().split("\n").at(-1) ?? "";
    return err({ code: "not_found", message: `${folder} is not in a git work tree: ${reason}` });
  }
  return ok({ hooks, isShared: !isBelow(hooks, common) && !isBelow(hooks, root) });
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return !way.startsWith("..") && !isAbsolute(way);
}

export function guardCommand({ launch, env }: Pick<GuardSite, "launch" | "env">): GuardCommand {
  const { node, hookScript } = launch;
  return { node, script: join(dirname(hookScript), "commit-guard.cjs"), home: env["SHIM_HOME"] };
}

/** [FI31] The state of the guard that was installed and is in force no more; else null. */
export function lostGuard(site: GuardSite, folder: string): GuardState | null {
  const repository = findRepository(site, folder);
  const state = repository.ok ? guardState(repository.value.hooks, guardCommand(site)) : null;
  return state && isLost(state) ? state : null;
}

/** [FI31] Whether the guard was installed and is in force no more. */
export function isLost(state: GuardState): boolean {
  return !isGuard(state) && (state.kept ?? state.movedGuard) !== null;
}

/** The user alone knows which of two different hooks is to be the repository's. */
export function isKeptUndecided(state: GuardState): boolean {
  return !isGuard(state) && state.kept !== null && !state.isKeptCurrent;
}

/** [FI31] */
export function howToDecide({ path, kept, kind }: GuardState): string {
  const [hook, earlier] = [shellWord(path), shellWord(kept ?? "")];
  return kind === "none"
    ? `${kept} is in the way: the hook from before the guard, while ${path} is gone. To have it again: mv ${earlier} ${hook}; to give it up: rm ${earlier}.`
    : `${kept} is in the way: the hook from before the guard, and ${path} is another one now. To keep the one of now: rm ${earlier}; to have the earlier one again: mv ${earlier} ${hook}.`;
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

export function isGuard({ kind }: GuardState): boolean {
  return kind === "installed" || kind === "stale";
}
