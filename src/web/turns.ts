import type { TimelineLine } from "../contract/machine/page.ts";
import { count, words } from "./format.ts";

/** Pure. The timeline of a chat, by its prompts. */

export interface Turn {
  /** The prompt is null for the lines before the first one that is known. */
  readonly prompt: TimelineLine | null;
  /** The answer, failures, decisions and deaths. All lines are newest first. */
  readonly shown: readonly TimelineLine[];
  /** Calls, saves and readings. */
  readonly folded: readonly TimelineLine[];
}

const shownKinds: ReadonlySet<string> = new Set(
  "failure interrupted taken_back compacted given_back plan answers recap continues end detached unread damaged".split(
    " ",
  ),
);
const shownSources: ReadonlySet<string> = new Set(["effect", "crash", "recovery"]);

/** @param lines newest first */
export function toTurns(lines: readonly TimelineLine[]): Turn[] {
  const turns: Turn[] = [];
  let shown: TimelineLine[] = [];
  let folded: TimelineLine[] = [];
  const close = (prompt: TimelineLine | null): void => {
    if (prompt !== null || shown.length + folded.length > 0)
      turns.push({ prompt, shown, folded: withoutBegins(folded) });
    [shown, folded] = [[], []];
  };
  for (const line of lines) {
    if (line.source === "journal" && line.kind === "prompt") close(line);
    else if (isShown(line, shown)) shown.push(line);
    else folded.push(line);
  }
  close(null);
  return turns;
}

/** Without the begins of calls whose ends are there. */
function withoutBegins(lines: readonly TimelineLine[]): TimelineLine[] {
  const ends = lines.filter(({ kind }) => kind === "tool_end" || kind === "tool_error").map((line) => say(line).text);
  return lines.filter((line) => {
    const { text } = say(line);
    return line.kind !== "tool_start" || !ends.some((end) => end.startsWith(text));
  });
}

/** The last answer of a turn counts. */
function isShown({ source, kind }: TimelineLine, later: readonly TimelineLine[]): boolean {
  if (source !== "journal") return shownSources.has(source);
  return kind === "assistant" ? !later.some((one) => one.kind === "assistant") : shownKinds.has(kind);
}

/** The folded lines in a few words. */
export function summaryOf(lines: readonly TimelineLine[]): string {
  const calls = lines.filter(({ kind }) => kind === "tool_end" || kind === "tool_error");
  const failed = calls.filter(({ kind }) => kind === "tool_error").length;
  const saves = lines.filter(({ source }) => source === "checkpoint").length;
  const parts = [
    calls.length > 0 && `${count(calls.length, "call")}${failed > 0 ? `, ${failed} failed` : ""}`,
    saves > 0 && count(saves, "save"),
  ].filter((part) => part !== false);
  return parts.join(" · ") || count(lines.length, "event");
}

const labels: Readonly<Record<string, string>> = {
  prompt: "you",
  assistant: "answer",
  tool_start: "began",
  tool_end: "call",
  tool_error: "failed",
  turn_end: "answered",
};
const sourceLabels: Readonly<Partial<Record<TimelineLine["source"], string>>> = {
  checkpoint: "saved",
  snapshot: "files saved",
  signal: "reading",
  crash: "died",
  effect: "cannot be undone",
};

/** The kind of a line in a user's words, and its text without what the kind says. */
export function say({ source, kind, text }: TimelineLine): { readonly label: string; readonly text: string } {
  const label = sourceLabels[source] ?? labels[kind] ?? words(kind);
  const rest = text.replace(
    /^(?:user|assistant|tool (?:began|ended|failed)|died|saved|cannot be undone|compacted): /,
    "",
  );
  return { label, text: rest === label || kind === "turn_end" ? "" : rest };
}
