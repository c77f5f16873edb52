import { mayChangeFiles } from "../../../clients/adapter/tools.ts";
import type { JournalEntry } from "../../../contract/journal.ts";
import { callKinds, turnBounds } from "../../../contract/turn-kinds.ts";
import type { Sql } from "../../../shared/sql.ts";
import * as journal from "../journal.ts";
import { isEdited } from "../work-state.ts";

/** A call that may have changed files, from its start to its end; both are rows of the journal. */
export interface ChangingCall {
  readonly start: number;
  readonly end: number;
  /** Epoch ms. */
  readonly startAt: number;
  readonly endAt: number;
}

/** Such a call as the journal knows it. */
export interface ReadCall extends ChangingCall {
  readonly id: string;
  readonly name: string;
  /** Epoch ms: before, it may have waited for the leave of the user. */
  readonly ranAt: number;
  /** Epoch ms: its end, or the prompt that came before, after which it runs no more. */
  readonly overAt: number;
  /** cut: by an interruption, or the end of its chat; unknown: it may be over, before `overAt`. */
  readonly ending: "own" | "cut" | "unknown";
  /** Epoch ms until which its program ran on in the background; null: there is none. */
  readonly backgroundUntil: number | null;
}

/** Between the end of a call and its event, in ms. */
const eventDelayMs = 1_000;

/** In the order of their starts. @param limit of the rows that are read, from the newest */
export function readCalls(sql: Sql, session: string, limit = Number.MAX_SAFE_INTEGER): ReadCall[] {
  const kinds = [...callKinds, ...turnBounds, "background_end", "end", "detached"] as const;
  const calls = new Calls();
  for (const row of journal.newest(sql, session, kinds, limit).toReversed()) calls.add(row);
  return calls.list();
}

type CallEnd = Extract<JournalEntry, { readonly kind: "tool_end" | "tool_error" }>;

class Calls {
  readonly #calls = new Map<string, ReadCall>();
  /** Calls by the programs that they left in the background. */
  readonly #programs = new Map<string, string>();
  #open = new Set<string>();
  #before = 0;

  add({ seq, at, entry }: journal.JournalRow): void {
    if (entry.kind === "background_end") this.#change(this.#programs.get(entry.id), { backgroundUntil: at });
    else if (entry.kind === "prompt") this.#passPrompt(at);
    else if (entry.kind === "tool_start") this.#begin(entry, seq, at);
    else if (entry.kind === "tool_end" || entry.kind === "tool_error") this.#end(entry, seq, at);
    else this.#cut(entry.kind, seq, at);
    this.#before = at;
  }

  list(): ReadCall[] {
    return [...this.#calls.values()].toSorted((one, other) => one.start - other.start);
  }

  #begin(entry: Extract<JournalEntry, { readonly kind: "tool_start" }>, seq: number, at: number): void {
    if (!isChange(entry)) return;
    this.#calls.set(entry.id, begun(entry, seq, at));
    this.#open.add(entry.id);
  }

  #end(entry: CallEnd, seq: number, at: number): void {
    const { id } = entry;
    if (!this.#open.delete(id) && !isChange(entry)) return;
    // Without an event of its start it began after the entry before.
    const call = this.#calls.get(id) ?? begun(entry, seq, this.#before);
    const { durationMs = at - call.startAt } = entry;
    const ranAt = Math.max(call.startAt, at - durationMs - eventDelayMs);
    const background = entry.kind === "tool_end" ? entry.background : undefined;
    if (background !== undefined) this.#programs.set(background, id);
    const backgroundUntil = background === undefined ? null : Infinity;
    this.#calls.set(id, { ...call, ranAt, end: seq, endAt: at, overAt: at, ending: "own", backgroundUntil });
  }

  #passPrompt(at: number): void {
    for (const id of this.#open) if (this.#calls.get(id)?.overAt === Infinity) this.#change(id, { overAt: at });
  }

  /** A call that was refused or interrupted has no end; that of another was lost. */
  #cut(kind: JournalEntry["kind"], seq: number, at: number): void {
    const isOverBefore = kind === "turn_end" || kind === "failure";
    const running = isOverBefore ? undefined : [...this.#open].at(-1);
    for (const id of this.#open) {
      const known = this.#calls.get(id)?.overAt ?? at;
      const ending = id === running && known === Infinity ? "cut" : "unknown";
      this.#change(id, { end: seq, endAt: at, overAt: Math.min(at, known), ending });
    }
    this.#open = new Set();
  }

  #change(id: string | undefined, changed: Partial<ReadCall>): void {
    const call = id === undefined ? undefined : this.#calls.get(id);
    if (id !== undefined && call) this.#calls.set(id, { ...call, ...changed });
  }
}

function begun({ id, name }: Pick<ReadCall, "id" | "name">, start: number, at: number): ReadCall {
  const over = { end: Infinity, endAt: Infinity, overAt: Infinity, ending: "unknown", backgroundUntil: null } as const;
  return { id, name, start, startAt: at, ranAt: at, ...over };
}

function isChange(entry: JournalEntry): boolean {
  if (entry.kind === "tool_end" && isEdited(entry)) return true;
  return "name" in entry && mayChangeFiles(entry.name);
}
