import { isRefusal } from "../../clients/adapter/harness-text.ts";
import { deedOf, isBySubagent, takesFilePath } from "../../clients/adapter/tools.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { CrashCause } from "../../contract/readings.ts";
import { oneLine } from "../../shared/format.ts";
import { withoutWrappers } from "../sessions/call-notes.ts";
import { simpleCommands } from "../sessions/shell-commands.ts";

/** Pure: the calls of a chat with what each took, from its rows. No text is kept but names. */

/** `at`: epoch ms. */
type Row = Readonly<{ at: number; entry: JournalEntry }>;

/** A chat of a person, as it is stored. */
export interface ChatRecord {
  readonly id: string;
  readonly project: string | null;
  readonly rows: readonly Row[];
  readonly deaths: readonly { readonly at: number; readonly cause: CrashCause; readonly unsavedToolCalls: number }[];
}

export interface Call {
  /** Epoch ms of its end. */
  readonly at: number;
  readonly tool: string;
  readonly deed: ReturnType<typeof deedOf>;
  /** File, program with its subcommand, or tool; empty: a command without a program. */
  readonly subject: string;
  /** Equal for two calls that ask for the same. */
  readonly input: string;
  readonly isTest: boolean;
  /** held: SHIM did not let it run; refused: the user did not. */
  readonly outcome: "passed" | "failed" | "refused" | "held";
  /** Milliseconds since the row before it, with what the model took to ask for it. */
  readonly stepMs: number;
  /** Milliseconds that it ran; null: its client does not say. */
  readonly ranMs: number | null;
  /** Milliseconds that it waited for the user's leave; null: none, or it is not known. */
  readonly waitedMs: number | null;
  /** Rows before it of what others did or said, who may have changed anything. */
  readonly fromOthers: number;
}

export interface Chat {
  readonly id: string;
  readonly project: string;
  readonly calls: readonly Call[];
  readonly compactions: readonly { readonly at: number; readonly ms: number }[];
  readonly deaths: ChatRecord["deaths"];
  readonly meanStepMs: number;
}

/** After so long without a row the time is not the chat's. */
export const maxStepMs = 300_000;

type CallEnd = Extract<JournalEntry, { readonly kind: "tool_end" | "tool_error" }>;

/** Its own calls: those of sub-agents run beside them. */
export function toChat({ id, project, rows, deaths }: ChatRecord): Chat {
  const reader = new Reader(project ?? "", rows[0]?.at ?? 0);
  for (const row of rows) reader.add(row);
  const { calls, compactions } = reader;
  const meanStepMs = calls.reduce((sum, { stepMs }) => sum + stepMs, 0) / Math.max(1, calls.length);
  return { id, project: (project ?? "").split(/[\\/]/).at(-1) ?? "", calls, compactions, deaths, meanStepMs };
}

const ofOthers: ReadonlySet<string> = new Set(["prompt", "answers", "compacted", "subagent_end", "background_end"]);

class Reader {
  readonly calls: Call[] = [];
  readonly compactions: { at: number; ms: number }[] = [];
  readonly #folder: string;
  /** Times of the rows before the starts of calls. */
  readonly #begun = new Map<string, number>();
  readonly #asked = new Map<string, { readonly at: number; readonly until: number | null }>();
  #before: number;
  #compactingAt: number | null = null;
  #fromOthers = 0;

  constructor(folder: string, at: number) {
    this.#folder = folder;
    this.#before = at;
  }

  add({ at, entry }: Row): void {
    const isBeside = "name" in entry && isBySubagent(entry.name);
    if (isBeside || ofOthers.has(entry.kind)) this.#fromOthers += 1;
    if (entry.kind === "compacting") this.#compactingAt = at;
    if (entry.kind === "compacted") this.#addCompaction(at);
    if (entry.kind === "tool_start") this.#begun.set(entry.id, this.#before);
    if (entry.kind === "asks" && entry.for === "permission" && entry.call !== undefined)
      this.#asked.set(entry.call, { at, until: null });
    if (entry.kind === "answered") this.#answer(at);
    if ((entry.kind === "tool_end" || entry.kind === "tool_error") && !isBeside) this.#end(at, entry);
    this.#before = at;
  }

  #addCompaction(at: number): void {
    this.compactions.push({ at, ms: this.#compactingAt === null ? 0 : stepOf(this.#compactingAt, at) });
    this.#compactingAt = null;
  }

  #answer(at: number): void {
    for (const [id, ask] of this.#asked) if (ask.until === null) this.#asked.set(id, { at: ask.at, until: at });
  }

  #end(at: number, entry: CallEnd): void {
    const ranMs = entry.durationMs ?? null;
    const ask = this.#asked.get(entry.id);
    const ranAt = ask?.until ?? (ranMs === null ? null : at - ranMs);
    const waitedMs = ask && ranAt !== null ? stepOf(ask.at, ranAt) : null;
    const stepMs = Math.max(0, stepOf(this.#begun.get(entry.id) ?? this.#before, at) - (waitedMs ?? 0));
    const times = { at, stepMs, ranMs, waitedMs, fromOthers: this.#fromOthers };
    this.calls.push({ ...named(entry, this.#folder), outcome: outcomeOf(entry), ...times });
  }
}

function stepOf(from: number, to: number): number {
  return Math.min(maxStepMs, Math.max(0, to - from));
}

function outcomeOf(entry: CallEnd): Call["outcome"] {
  if (entry.kind === "tool_error") return entry.isRefused ? "held" : isRefusal(entry.text) ? "refused" : "failed";
  return (entry.exitCode ?? 0) === 0 ? "passed" : "failed";
}

const maxSubject = 80;
const tests = /\b(?:tests?|spec|vitest|jest|pytest|rspec)\b/i;

function named(
  { name, input, path }: { name: string; input: string; path?: string },
  folder: string,
): Pick<Call, "tool" | "deed" | "subject" | "input" | "isTest"> {
  const deed = deedOf(name);
  const program = deed === "runs" ? programOf(input) : null;
  const file = path ?? (takesFilePath(name) ? input : null);
  const subject = program?.subject ?? file?.replace(`${folder}/`, "") ?? name;
  const isTest = program?.isTest ?? false;
  return { tool: name, deed, subject: oneLine(subject, maxSubject), input: `${name} ${input}`, isTest };
}

/** Words before the program that a command is about. */
const preludes: ReadonlySet<string> = new Set(["cd", "export", "set", "sleep", "source", "echo"]);
/** Subcommands that another word follows. */
const runners: ReadonlySet<string> = new Set(["run", "exec", "x"]);

const plainWord = /^[\w@./:+-]+$/;

/** The program and its subcommand, of the first command that does something of its own. */
function programOf(text: string): { readonly subject: string; readonly isTest: boolean } {
  const commands = simpleCommands(text).map(({ words: given }) => {
    const words = withoutWrappers(given);
    // Code that is given instead of a file names nothing.
    return plainWord.test(words[0] ?? "") ? words : given.filter((word) => !/^\w+=/.test(word));
  });
  const words = commands.find(([program = ""]) => program !== "" && !preludes.has(program)) ?? [];
  const subs = words.slice(1, runners.has(words[1] ?? "") ? 3 : 2).filter((word) => /^[a-z][\w:.-]*$/i.test(word));
  return { subject: [words[0] ?? "", ...subs].join(" "), isTest: tests.test(words.slice(0, 4).join(" ")) };
}
