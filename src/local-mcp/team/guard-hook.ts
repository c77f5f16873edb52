import { lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeAtomically } from "../../platform/private-files.ts";

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
