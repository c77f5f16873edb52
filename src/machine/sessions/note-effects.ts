import { readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { adapterOf } from "../../clients/adapters.ts";
import type { EffectCommand } from "../../contract/effects.ts";
import type { HookInput } from "../../contract/hooks.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { EffectNote } from "../../contract/work-state.ts";
import { codeOf } from "../../shared/error.ts";
import { asObject, parseObject, textAt } from "../../shared/json-fields.ts";
import { readPush } from "./effects.ts";
import { redactAndClip } from "../../redaction/bounded-text.ts";
import { type GitHead, projectRoot, readHead } from "../../snapshots/git-head.ts";
import { findEffects, type FoundEffect } from "./find-effects.ts";

/** Where a call runs that is about to begin or has just ended. */
export interface CallFolder {
  readonly cwd: string;
  readonly project: string | null;
}

const maxNotes = 8;
const maxCommandChars = 200;

/**
 * Notes of a call's commands that cannot be undone, for its entry in the journal.
 *
 * @param own commands that the user added
 * @param callFolder for its commit and the version of its package; absent: the call is of the past
 */
export function noteEffects(
  { tool_name: tool, tool_input: toolInput }: Pick<HookInput, "tool_name" | "tool_input">,
  own?: readonly EffectCommand[],
  callFolder: CallFolder | null = null,
): EffectNote[] {
  const found = findEffects(tool ?? "", toolInput, own).slice(0, maxNotes);
  return found.map((one) => toNote(one, callFolder === null ? {} : positionOf(one, callFolder)));
}

type Position = Pick<EffectNote, "folder" | "subject" | "branch">;

function toNote({ kind, command, check, shows, isOnce }: FoundEffect, position: Position): EffectNote {
  const { subject } = position;
  const isKnown = check !== null && (subject !== undefined || !check.includes("{subject}"));
  return {
    kind,
    command: redactAndClip(command, maxCommandChars).replaceAll(/\s+/g, " "),
    ...(shows === null ? {} : { shows }),
    ...position,
    ...(isOnce ? { isOnce } : {}),
    ...(isKnown ? { check: check.replaceAll("{subject}", subject ?? "") } : {}),
  };
}

/** Without an exit code the end of a call shows nothing in a client that may hide a failure. */
export function asShownBy<Entry extends JournalEntry>(entry: Entry, client: string): Entry {
  const isHidden = entry.kind === "tool_end" && entry.exitCode !== 0 && adapterOf(client)?.hidesFailures === true;
  return isHidden ? { ...entry, hidesFailure: true } : entry;
}

function positionOf(found: FoundEffect, { cwd, project }: CallFolder): Position {
  if (found.folders === null) return {};
  const folder = resolve(cwd, ...found.folders, ...foldersOfOption(found.words));
  const inside = project === null ? folder : relative(project, folder);
  return {
    ...(inside === "" ? {} : { folder: inside.startsWith("..") ? folder : inside }),
    ...subjectOf(found, folder),
  };
}

/** `git -C <folder>` */
function foldersOfOption([program, option, folder]: readonly string[]): string[] {
  return program === "git" && option === "-C" && folder !== undefined ? [folder] : [];
}

/** A later commit, or another version, makes a repetition of the command another effect. */
function subjectOf({ kind, words }: FoundEffect, folder: string): Position {
  const version = kind === "publish" && packagePrograms.has(words[0] ?? "") ? packageIn(folder) : null;
  if (version !== null) return { subject: version };
  const push = readPush(words);
  if (push === null && kind !== "deployment" && kind !== "publish") return {};
  const { branch, commit } = headIn(folder);
  const isOfHead = push === null || push.from === null || push.from === "HEAD" || push.from === branch;
  const subject = isOfHead && commit !== null ? { subject: commit } : {};
  return push === null || branch === null ? subject : { ...subject, branch };
}

function headIn(folder: string): GitHead {
  const root = projectRoot(folder);
  return (root === null ? null : readHead(root)) ?? { branch: null, commit: null };
}

const packagePrograms: ReadonlySet<string> = new Set(["npm", "pnpm", "yarn", "bun", "lerna", "changeset"]);

const maxPackageBytes = 1_000_000;

function packageIn(folder: string): string | null {
  try {
    const path = join(folder, "package.json");
    const stat = statSync(path);
    const about = stat.isFile() && stat.size <= maxPackageBytes ? parseObject(readFileSync(path, "utf8")) : null;
    const [name, version] = [textAt(asObject(about), "name", 214), textAt(asObject(about), "version", 100)];
    return name !== null && version !== null && /^[\w@./+-]+$/.test(name + version) ? `${name}@${version}` : null;
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return null;
  }
}
