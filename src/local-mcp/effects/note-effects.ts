import { readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { adapterOf } from "../../clients/adapters.ts";
import type { EffectCommand } from "../../contract/effects.ts";
import type { HookInput } from "../../contract/hook-input.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { EffectNote } from "../../contract/work-state.ts";
import { codeOf } from "../../shared/error.ts";
import { asObject, parseObject, textAt } from "../../shared/json-fields.ts";
import { redactAndClip } from "../sessions/entries.ts";
import { projectRoot, readHead } from "../sessions/git-head.ts";
import { findEffects, type FoundEffect } from "./find-effects.ts";
import { readPush } from "./push-target.ts";

/** Where a call runs that is about to begin or has just ended. */
export interface CallPlace {
  readonly cwd: string;
  readonly project: string | null;
}

const maxNotes = 8;
const maxCommandChars = 200;

/**
 * What the journal keeps of a call's commands that cannot be undone.
 *
 * @param own commands that the user added
 * @param place reads the commit, and the version of a package; absent: the call is of the past
 */
export function noteEffects(
  { tool_name: tool, tool_input: toolInput }: Pick<HookInput, "tool_name" | "tool_input">,
  own?: readonly EffectCommand[],
  place: CallPlace | null = null,
): EffectNote[] {
  const found = findEffects(tool ?? "", toolInput, own).slice(0, maxNotes);
  return found.map((one) => {
    const { kind, command, check, shows } = one;
    const where = place === null ? {} : placeOf(one, place);
    const subject = "subject" in where ? where.subject : undefined;
    const way = check === null || (check.includes("{subject}") && subject === undefined) ? null : check;
    return {
      kind,
      command: redactAndClip(command, maxCommandChars).replaceAll(/\s+/g, " "),
      ...(shows === null ? {} : { shows }),
      ...where,
      ...(way === null ? {} : { check: way.replaceAll("{subject}", subject ?? "") }),
    };
  });
}

/** [EF5] A client that may report a failed command as ended shows nothing by its end. */
export function asShownBy<Entry extends JournalEntry>(entry: Entry, client: string): Entry {
  if (!("effects" in entry) || !adapterOf(client)?.hidesFailures) return entry;
  const effects = entry.effects?.map(({ shows, ...note }): EffectNote => {
    return shows === "all" ? { ...note, shows: "failure" } : note;
  });
  return { ...entry, effects };
}

function placeOf(found: FoundEffect, { cwd, project }: CallPlace): Pick<EffectNote, "folder" | "subject" | "branch"> {
  if (found.folders === null) return {};
  const folder = resolve(cwd, ...found.folders, ...foldersOfOption(found.words));
  const inside = project === null ? folder : relative(project, folder);
  return { ...(inside === "" ? {} : { folder: inside.startsWith("..") ? folder : inside }), ...subjectOf(found, folder) };
}

/** `git -C <folder>` */
function foldersOfOption([program, option, folder]: readonly string[]): string[] {
  return program === "git" && option === "-C" && folder !== undefined ? [folder] : [];
}

function subjectOf({ kind, words }: FoundEffect, folder: string): Pick<EffectNote, "subject" | "branch"> {
  if (kind === "publish") {
    const subject = packageIn(folder);
    return subject === null ? {} : { subject };
  }
  const push = readPush(words);
  const root = push === null ? null : projectRoot(folder);
  const head = root === null ? null : readHead(root);
  if (push === null || head?.branch == null) return {};
  const isOfBranch = push.from === null || push.from === "HEAD" || push.from === head.branch;
  return { branch: head.branch, ...(isOfBranch && head.commit !== null ? { subject: head.commit } : {}) };
}

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
