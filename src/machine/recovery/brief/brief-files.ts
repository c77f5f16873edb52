import { inBrief } from "../../../contract/limits.ts";
import { isAbsolute, relative } from "node:path";
import { pathOf } from "../../sessions/entries.ts";
import { isEdited } from "../../sessions/work-state.ts";
import type { GitHead } from "../../../snapshots/git-head.ts";
import type { FileComparison } from "../../../snapshots/file-state.ts";
import type { LearntNames } from "./brief-learnt.ts";
import { headed, type BriefContext, type BriefLine } from "./brief-quotes.ts";
import { prefixMark, sharedFolder, withoutPrefix } from "./path-prefix.ts";
import { formatEvents, oneLine, quotedMachine } from "./brief-text.ts";
import { formatAgo } from "../../../shared/format.ts";
import type { Elsewhere, Restoration, RestoredFile } from "../incomplete/restoration.ts";

const most = { files: 15, pathChars: inBrief.path };
const least = { files: 4, pathChars: 40 };
/** Files in one line: open ones without a line of their own, committed ones, those only read. */
const maxNames = { open: 20, newest: 6, committed: 12, read: 8 };
/** Committed files of the newest edits come before older prompts: they are often edited next. */
const ranks = { newest: 1.35, names: 2, otherNames: 9.5 };

const fileStateText: Record<FileComparison, string> = {
  same: "unchanged since the checkpoint",
  changed: "CHANGED since the checkpoint",
  missing: "MISSING",
  deleted: "deleted, as the chat left it",
  unknown: "not verified",
};
const elsewhereStateText: Record<FileComparison, string> = {
  same: "the same here",
  changed: "DIFFERENT here",
  missing: "NOT HERE",
  deleted: "deleted there, and not here",
  unknown: "not verified",
};
const fileOrder: Record<FileComparison, number> = { missing: 0, changed: 0, deleted: 1, unknown: 1, same: 1 };

/** Pure. Newest first; files that are not as they were come before the rest. */
export function fileLines(from: Restoration, learnt: LearntNames, { now, scale }: BriefContext): BriefLine[] {
  const { files, session } = from;
  const openFiles = listedFiles(from);
  // Files go last when there is no room.
  const share = Math.min(1, 2 * scale);
  const maxPathChars = Math.max(least.pathChars, Math.floor(most.pathChars * share));
  const paths = [...new Set([...files.map(({ path }) => path), ...learnt.files])];
  const prefix = sharedFolder(paths.map((path) => projectPath(session.project, path)));
  const pathText = (path: string): string =>
    oneLine(withoutPrefix(projectPath(session.project, path), prefix), maxPathChars);
  const shownFiles = openFiles.slice(0, Math.max(least.files, Math.floor(most.files * share)));
  const states = shownFiles.map((file) => stateText(from, file, now));
  const shared = sharedState(states.filter((_, index) => shownFiles[index]?.now === "same"));
  const lines = shownFiles.map((file, index) => {
    const state = states[index] === shared ? sameMark : states[index];
    return learnt.line(file.path, `- ${pathText(file.path)} (${howText(file)}): ${state}`, true);
  });
  const hidden = openFiles.length - lines.length;
  const more: BriefLine[] = hidden > 0 ? [{ text: `- and ${hidden} more`, rank: 0 }] : [];
  const shown = new Set(shownFiles.map(({ path }) => path));
  const learntLines = learnt.files
    .filter((path) => !shown.has(path))
    .map((path) => {
      const known = files.find((file) => file.path === path);
      return learnt.line(path, `- ${pathText(path)} (${known === undefined ? "named" : actionOf(known)})`, false);
    });
  const marks = [
    ...(shared === "" ? [] : [`; ${sameMark}: ${shared}`]),
    ...(prefix === "" ? [] : [`; ${prefixMark} stands for ${prefix}`]),
  ].join("");
  return headed(`files, newest first (compared now, by content unless a line says otherwise${marks}):`, [
    ...lines,
    ...more,
    ...learntLines,
    ...nameLines(from, { openFiles, shownFiles, learnt, pathText }),
  ]);
}

function howText(file: RestoredFile): string {
  return file.isFoundByGit ? changedBy(file) : file.action;
}

function stateText(from: Restoration, file: RestoredFile, now: number): string {
  return `${from.elsewhere ? elsewhereStateText[file.now] : stateOf(file)}${reasonOf(file)}${byOthers(from, file, now)}`;
}

/** Stands for the state of most files that are as they were. */
const sameMark = '"same"';
/** Characters that the mark must save. */
const leastSaved = 80;

/** "": each file says its own. */
function sharedState(states: readonly string[]): string {
  const saved = (state: string): number => (states.filter((one) => one === state).length - 1) * state.length;
  const [best = ""] = states.toSorted((one, two) => saved(two) - saved(one));
  return saved(best) >= leastSaved ? best : "";
}

function actionOf({ action, isCommitted }: RestoredFile): string {
  return isCommitted ? `${action}, committed or unchanged by git` : action;
}

interface Listed {
  readonly openFiles: readonly RestoredFile[];
  readonly shownFiles: readonly RestoredFile[];
  readonly learnt: LearntNames;
  readonly pathText: (path: string) => string;
}

/** Files in one line, where most of their paths go in. */
function nameLines({ files }: Restoration, { openFiles, shownFiles, learnt, pathText }: Listed): BriefLine[] {
  const open = new Set(openFiles);
  const others = files.filter((file) => !open.has(file) && !learnt.isFirst(file.path)).toReversed();
  const committed = others.filter(({ action, isRemoved }) => action !== "read" && !isRemoved);
  const read = others.filter(({ action }) => action === "read");
  const named = (about: string, names: readonly string[], max: number, rank = ranks.names): BriefLine[] => {
    const rest = names.length > max ? ` and ${names.length - max} more` : "";
    return names.length === 0 ? [] : [{ text: `- ${about}: ${names.slice(0, max).join(", ")}${rest}`, rank }];
  };
  const pathsOf = (chosen: readonly RestoredFile[]): string[] => chosen.map(({ path }) => pathText(path));
  return [
    ...named("of those", pathsOf(openFiles.slice(shownFiles.length)), maxNames.open),
    ...named("committed or unchanged, by git", pathsOf(committed), maxNames.newest, ranks.newest),
    ...named("of those", pathsOf(committed.slice(maxNames.newest)), maxNames.committed),
    ...named("read", pathsOf(read), maxNames.read),
    ...named("names at no file of the project", learnt.others, learnt.others.length, ranks.otherNames),
  ];
}

function stateOf({ action, now, stamp, isByDate }: RestoredFile): string {
  if (isByDate)
    return now === "same" ? "not written since, by its date" : "WRITTEN since the chat's last event, by its date";
  if (action === "deleted" && (now === "changed" || now === "same")) return "there AGAIN";
  if (!stamp || (now !== "same" && now !== "changed")) return fileStateText[now];
  return `${now === "same" ? "as the chat left it" : fileStateText[now]}, by size and time`;
}

function reasonOf({ action, now, skipped }: RestoredFile): string {
  return now === "unknown" && skipped && action !== "deleted" ? ` (${skipped})` : "";
}

/** The newest edit that another chat's events tell of, where it came after the session. */
function byOthers({ editedByOthers, knownUntil }: Restoration, file: RestoredFile, now: number): string {
  const at = editedByOthers?.get(file.path) ?? 0;
  return file.now !== "same" && knownUntil > 0 && at > knownUntil
    ? `; another chat edited it ${formatAgo(now, at)}`
    : "";
}

/** Git does not say by whom. A file that the chat has only named may be its work. */
function changedBy({ action, hash }: RestoredFile): string {
  return action === "noted" && hash !== null ? "changed; named by the chat" : "by a command or by hand";
}

function listedFiles({ files }: Restoration): RestoredFile[] {
  return files
    .toReversed()
    .filter((file) => file.now === "changed" || file.now === "missing" || isUncommitted(file))
    .sort((a, b) => fileOrder[a.now] - fileOrder[b.now]);
}

function isUncommitted(file: RestoredFile): boolean {
  return !file.isCommitted && (isEdited(file) || file.isFoundByGit === true);
}

/** Relative to the project, where it is inside of it. */
export function projectPath(project: string | null, path: string): string {
  const clean = pathOf(path);
  if (project === null || !isAbsolute(clean)) return clean;
  const inside = relative(project, clean);
  return inside === "" || inside.startsWith("..") || isAbsolute(inside) ? clean : inside;
}

export function verifiedLines(from: Restoration, now: number): BriefLine[] {
  const { checkpoint, elsewhere } = from;
  const saved = checkpoint
    ? `last checkpoint: ${formatAgo(now, checkpoint.at)} (${checkpoint.trigger}); later events come from the journal`
    : "last checkpoint: none; all of this comes from the journal";
  const texts = [
    ...branchLine(from),
    saved,
    ...(elsewhere ? syncLines(elsewhere, from.session.id, now) : snapshotLine(from)),
  ];
  return texts.map((text) => ({ text, rank: 0 }));
}

/** Omits an unchanged branch without a commit. A commit says nothing of changes beside it. */
function branchLine({ state, head, elsewhere, fork }: Restoration): string[] {
  if (fork)
    return head === null
      ? []
      : [`git: ${formatHead(head)}${state.git ? `; the session was on ${formatHead(state.git)}` : ""}`];
  if (!state.git) return state.writtenGit && !elsewhere ? [writtenGitLine(state.writtenGit, head)] : [];
  const then = formatHead(state.git);
  const now = head && formatHead(head);
  if (elsewhere) return [gitLineElsewhere(elsewhere, then, now)];
  if (now === null) return [`git: was ${then}; cannot be read now`];
  if (then !== now) return [`git: was ${then}, is now ${now} (CHANGED)`];
  return state.git.commit === null ? [] : [`git: ${then}, the same commit now`];
}

function writtenGitLine(written: GitHead, head: GitHead | null): string {
  const now = head ? formatHead(head) : "not readable";
  if (written.commit !== null) return `git: ${formatHead(written)} when it began, now ${now}`;
  const isChanged = head !== null && head.branch !== written.branch;
  return `git: last on ${written.branch ?? "no branch"}, now ${now}${isChanged ? " (CHANGED)" : ""}`;
}

function formatHead({ branch, commit }: GitHead): string {
  return `${branch ?? "detached"} at ${commit?.slice(0, 12) ?? "no commit"}`;
}

function snapshotLine({ snapshot, isSnapshotThere, fork }: Restoration): string[] {
  if (fork) return [];
  if (snapshot?.state === "done" && isSnapshotThere === false)
    return [
      `files as they were: the snapshot is GONE (commit ${snapshot.commit?.slice(0, 12)} is not in SHIM's repository)`,
    ];
  if (snapshot?.state === "done")
    return [
      `files as they were: \`shim restore ${snapshot.checkpointId}\` shows what differs, and puts them back${isSnapshotThere ? " (its commit is there now)" : ""}`,
    ];
  return snapshot?.reason ? [`files as they were: no snapshot (${oneLine(snapshot.reason, 160)})`] : [];
}

function gitLineElsewhere({ hasCommit }: Elsewhere, then: string, now: string | null): string {
  if (now === null) return `git: there ${then}; here it cannot be read`;
  if (then === now) return `git: ${then}, the same here`;
  const commit =
    hasCommit === null
      ? "not known whether that commit is here"
      : hasCommit
        ? "that commit is in the repository here"
        : "that commit is NOT HERE: it was not pushed, or not fetched";
  return `git: there ${then} (${commit}); here ${now} (DIFFERENT)`;
}

/** @param now epoch ms */
function syncLines(elsewhere: Elsewhere, session: string, now: number): string[] {
  const { unsaved, lost, syncedUntil } = elsewhere;
  const later =
    unsaved === 0
      ? ""
      : `; ${formatEvents(unsaved)} after the checkpoint came with it, and ${unsaved === 1 ? "is" : "are"} in this`;
  return [
    `not synced: ${lost === null ? "" : `${lost}; `}whatever it did after ${formatAgo(now, syncedUntil)}${later}`,
    filesLine(elsewhere, session, now),
  ];
}

function filesLine({ machine, uncommitted }: Elsewhere, session: string, now: number): string {
  const why = uncommitted?.notThere ? oneLine(uncommitted.notThere, 200) : null;
  if (uncommitted === null || uncommitted.at === null)
    return `files as they were: on ${quotedMachine(machine)} only, where SHIM's snapshots of them are; what was neither pushed nor copied is not here${why === null ? "" : ` (${why})`}`;
  const { at, missingCommit } = uncommitted;
  const first =
    missingCommit === null
      ? ""
      : ` (they are based on commit ${missingCommit.slice(0, 12)}, which is NOT HERE: \`git fetch\` first)`;
  const newer = why === null ? "" : `; newer ones are on ${quotedMachine(machine)} only: ${why}`;
  return `files as they were ${formatAgo(now, at)}, uncommitted ones too: \`shim restore ${session}\` shows what differs, and puts them here${first}${newer}`;
}
