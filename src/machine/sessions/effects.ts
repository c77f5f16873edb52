import { isRefusal } from "../../clients/adapter/harness-text.ts";
import type { EffectOutcome } from "../../contract/effects.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { EffectNote, EffectProof, EffectRun } from "../../contract/work-state.ts";
import { formatAgo, oneLine } from "../../shared/format.ts";
import { simpleCommands } from "./shell-commands.ts";
import { isCall, readPush, type CallEntry, type PushTarget } from "./call-notes.ts";

/** Pure: a view of the journal. Nothing is stored but what the entries of the calls have. */

const limits = { runs: 30, error: 200 };

/** 144 is what Claude Code reports of a command that SIGTERM has ended. */
export const interruptedOutput =
  /^\W*(?:error: )?(?:exit code (?:129|130|137|143|144)(?!\d)|(?:\[request )?interrupted|aborted|cancell?ed)/i;
const timedOut = /timed? ?out/i;

/** Keeps the newest, oldest first. */
export function withEffects(runs: readonly EffectRun[], at: number, entry: JournalEntry): readonly EffectRun[] {
  if (entry.kind === "start" && entry.source === "resume")
    return runs.map((run) => Object.assign({}, run, { isEarlier: true as const }));
  if (entry.kind === "exited" || entry.kind === "background_end") return withExit(runs, entry);
  if (entry.kind === "asks")
    return runs.map((run) => (run.call === entry.call ? Object.assign({}, run, { asked: true as const }) : run));
  if (!isCall(entry)) return runs;
  const known = runs.filter(({ call }) => call === entry.id);
  const notes: readonly EffectNote[] = entry.effects ?? known;
  if (notes.length === 0) return runs;
  const all = notes.map((note): EffectRun => Object.assign({}, note, begunOf(known[0], at, entry), endOf(note, entry)));
  return [...runs.filter(({ call }) => call !== entry.id), ...all].slice(-limits.runs);
}

type Begun = Pick<EffectRun, "call" | "at" | "asked" | "background">;

function begunOf(known: EffectRun | undefined, at: number, entry: CallEntry): Begun {
  const isAsked = known?.asked ?? (entry.kind === "tool_start" && entry.asked);
  return {
    call: entry.id,
    at: known?.at ?? at,
    ...(isAsked ? { asked: true } : {}),
    ...(entry.kind === "tool_end" && entry.background !== undefined ? { background: entry.background } : {}),
  };
}

type ExitEntry = Extract<JournalEntry, { kind: "exited" | "background_end" }>;

/** Their call had ended without an exit code, or left them in the background. */
function withExit(runs: readonly EffectRun[], entry: ExitEntry): readonly EffectRun[] {
  const name = entry.kind === "exited" ? "call" : "background";
  const isOpen = (run: EffectRun): boolean => run[name] === entry.id && outcomeOf(run) === "unknown";
  return runs.map((run) => {
    if (!isOpen(run)) return run;
    const { background: _background, ...rest } = run;
    const proven = entry.kind === "background_end" ? provenOf(run, entry) : undefined;
    const outcome = proven ?? exitOf(run, entry.exitCode);
    return { ...rest, outcome };
  });
}

function provenOf({ kind }: EffectNote, { proven }: Proven): EffectProof["outcome"] | undefined {
  return proven?.find((one) => one.kind === kind)?.outcome;
}

interface Proven {
  readonly proven?: readonly EffectProof[];
}

/** Exit codes above are those of signals: it may have been done before one. */
const highestFailure = 128;

/** @param exitCode of all commands of a call; undefined: not known */
function exitOf({ shows }: EffectNote, exitCode: number | undefined): EffectOutcome {
  if (exitCode === undefined || exitCode > highestFailure) return "unknown";
  if (exitCode === 0) return shows === "all" || shows === "success" ? "done" : "unknown";
  return shows === "all" || shows === "failure" ? "failed" : "unknown";
}

type Ended = Pick<EffectRun, "outcome" | "error">;

function endOf(note: EffectNote, entry: CallEntry): Ended {
  if (entry.kind === "tool_start" || (entry.kind === "tool_end" && entry.background !== undefined)) return {};
  const outcome = provenOf(note, entry);
  if (entry.kind === "tool_end")
    return { outcome: outcome ?? exitOf(note, entry.exitCode ?? (entry.hidesFailure ? undefined : 0)) };
  const error = entry.text.slice(0, limits.error);
  if (entry.isRefused) return { outcome: "refused" };
  if (isRefusal(entry.text)) return { outcome: "refused", error };
  if (outcome === "done") return { outcome };
  const isStopped = interruptedOutput.test(entry.text) || timedOut.test(error);
  return { outcome: outcome ?? (isStopped ? "unknown" : exitOf(note, 1)), error };
}

export function outcomeOf({ outcome = "unknown" }: EffectRun): EffectOutcome {
  return outcome;
}

/** Outcome with its reason: why it is not known, or how it failed. Quotes the client. */
export function outcomeText(run: EffectRun): string {
  const { outcome, error, asked } = run;
  const quoted = error === undefined ? "" : `: ${oneLine(error)}`;
  if (outcome === "done") return "done";
  if (outcome === "refused") return `refused by ${error === undefined ? "SHIM" : "the user"}, not run`;
  if (outcome === "failed") return `FAILED${quoted}`;
  if (outcome === undefined) return `unknown (no end of it was seen${asked ? ", the user was asked before it" : ""})`;
  if (error !== undefined) return `unknown (its call did not end well${quoted})`;
  return "unknown (its call ended, and what ended it does not show it)";
}

/** @returns the command, where it ran, and on what */
export function effectText({ command, subject, folder }: EffectNote): string {
  const isCommit = /^[0-9a-f]{40,64}$/.test(subject ?? "");
  const on = subject === undefined ? "" : ` (${isCommit ? `commit ${subject.slice(0, 12)}` : subject})`;
  return `${command}${folder === undefined ? "" : ` [in ${folder}]`}${on}`;
}

/** Command by which a person finds out. */
export function checkOf(note: EffectNote): string | null {
  const push = pushOf(note);
  if (push === null) return note.check ?? null;
  const branch = push.to ?? (push.from === "HEAD" ? null : push.from) ?? note.branch ?? null;
  return branch === null ? null : `git ls-remote ${push.remote ?? "origin"} ${branch}`;
}

export function pushOf({ kind, command }: EffectNote): PushTarget | null {
  if (kind !== "push") return null;
  const words = simpleCommands(command)[0]?.words ?? [];
  return readPush(words.slice(words.indexOf("git")));
}

/** Two runs with one key would do the same again: a push by its commit. */
export function effectKey(note: EffectNote): string {
  const { kind, command, folder = "", subject = "", branch = null } = note;
  const push = pushOf(note);
  if (push === null || subject === "") return JSON.stringify([kind, command, folder, subject]);
  const to = push.to ?? (push.from === "HEAD" ? null : push.from) ?? branch;
  return JSON.stringify([kind, push.remote ?? "origin", to, push.isDeletion, subject]);
}

/** Line of a brief, with at most so many characters of the command. */
export function effectLine(run: EffectRun, now: number, maxCommand = Infinity): string {
  const way = outcomeOf(run) === "unknown" ? checkOf(run) : null;
  const command = oneLine(run.command, maxCommand);
  return `${formatAgo(now, run.at)}: ${effectText({ ...run, command })}: ${outcomeText(run)}${way === null ? "" : `; to find out: ${way}`}`;
}
