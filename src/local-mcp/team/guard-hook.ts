import { lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync } from "node:fs";
import { dirname, join, isAbsolute, relative } from "node:path";
import { writeAtomically } from "../../platform/private-files.ts";
import type { ServiceSite } from "../../installer/service.ts";
import { shellWord, type Launch } from "../../platform/launch.ts";
import { err, ok, type Result } from "../../shared/result.ts";

export interface GuardCommand {
  readonly node: string;
  readonly script: string;
  readonly home: string | undefined;
}

export interface GuardState {
  readonly path: string;
  /** Earlier hook, kept and run first; null: none. */
  readonly kept: string | null;
  /** stale: of another copy of SHIM; other: another hook. */
  /** Whether the kept hook equals the present one, byte for byte: a hook manager made it again. */
  readonly isKeptCurrent: boolean;
  /** SHIM's hook, which lefthook renames when it installs its own; null: none. */
  readonly movedGuard: string | null;
  readonly kind: "installed" | "stale" | "other" | "none";
}

/** [FI20] Exit code of a refusal; after any other the commit continues. */
export const refusedExit = 9;

const mark = "# SHIM commit guard";
const suffix = ".before-shim";
const movedSuffix = ".old";

export function guardState(hooks: string, command: GuardCommand): GuardState {
  const path = join(hooks, "pre-commit");
  const kept = exists(path + suffix) ? path + suffix : null;
  const moved = path + movedSuffix;
  const movedGuard = exists(moved) && isGuardText(readText(moved)) ? moved : null;
  const found = { path, kept, movedGuard, isKeptCurrent: kept !== null && exists(path) && isSameHook(path, kept) };
  if (!exists(path)) return { ...found, kind: "none" };
  const text = readText(path);
  if (!isGuardText(text)) return { ...found, kind: "other" };
  return { ...found, kind: text === hookText(command, findInterpreter(kept)) ? "installed" : "stale" };
}

function isGuardText(text: string): boolean {
  return text.includes(`\n${mark}`);
}

function isSameHook(path: string, kept: string): boolean {
  const [now, earlier] = [lstatSync(path), lstatSync(kept)];
  if (now.isSymbolicLink() && earlier.isSymbolicLink()) return readlinkSync(path) === readlinkSync(kept);
  return now.isFile() && earlier.isFile() && readFileSync(path).equals(readFileSync(kept));
}

/**
 * [FI23] [FI31] A kept hook that equals the present one is replaced by it.
 * @throws the system's error when the folder is not writable; nothing has changed then
 */
export function installGuard({ path, kind, movedGuard }: GuardState, command: GuardCommand): void {
  const kept = path + suffix;
  mkdirSync(dirname(path), { recursive: true });
  if (kind === "other") renameSync(path, kept);
  try {
    writeAtomically(path, hookText(command, findInterpreter(exists(kept) ? kept : null)), { mode: 0o755 });
  } catch (error) {
    if (kind === "other") renameSync(kept, path);
    throw error;
  }
  if (movedGuard !== null) rmSync(movedGuard);
}

/**
 * [FI23] Restores the earlier hook by renaming it back: it is the same file. [FI31] Where a hook
 * manager has put it back already, what is left of the guard is deleted.
 */
export function removeGuard({ path, kept, kind, movedGuard }: GuardState): void {
  if (kept !== null) renameSync(kept, path);
  else if (kind === "installed" || kind === "stale") rmSync(path);
  if (movedGuard !== null) rmSync(movedGuard);
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function readText(path: string): string {
  return lstatSync(path).isFile() ? readFileSync(path, "utf8") : "";
}

/** Shell that a kept hook names, with its options; null: the hook runs as a program of its own. */
function findInterpreter(kept: string | null): string | null {
  if (kept === null) return null;
  try {
    const [line = ""] = readFileSync(kept, "latin1").split("\n", 1);
    return /^#! *((?:\/usr\/bin\/env +)?[\w./-]*\b(?:sh|bash|dash|ksh|zsh)(?: +-\w+)*) *$/.exec(line)?.[1] ?? null;
  } catch {
    // Git would not have run a dangling link, either.
    return null;
  }
}

/** [FI24] A kept shell hook is sourced under the old name: many find their files by `$0`. */
function hookText({ node, script, home }: GuardCommand, shell: string | null): string {
  const run = shell === null ? `"$0${suffix}" "$@"` : `${shell} -c '. "$0${suffix}"' "$0" "$@"`;
  const lines = [
    "#!/bin/sh",
    `${mark}: refuses a commit of files that another chat has reserved. \`shim team files guard remove\` takes it out.`,
    `if [ -x "$0${suffix}" ]; then ${run} || exit $?; fi`,
    ...(home === undefined ? [] : [`[ -n "$SHIM_HOME" ] || export SHIM_HOME=${shellQuote(home)}`]),
    `git diff --cached --name-only --no-renames -z | ${shellQuote(node)} ${shellQuote(script)}`,
    "case $? in",
    "  0) ;;",
    `  ${refusedExit}) exit 1 ;;`,
    '  *) echo "SHIM: reserved files were not checked; the commit goes on. See: shim team files guard status" >&2 ;;',
    "esac",
    "exit 0",
  ];
  return `${lines.join("\n")}\n`;
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

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
