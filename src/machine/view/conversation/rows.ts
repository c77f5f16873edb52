import {
  timesOf,
  type Call,
  type CallResult,
  type Item,
  type Picture,
} from "../../../clients/conversation/conversation.ts";
import { deedOf, startsAgent } from "../../../clients/adapter/tools.ts";
import type { CallRow, ConversationRow, OpenedCall } from "../../../contract/machine/conversation.ts";
import { asObject } from "../../../shared/json-fields.ts";
import { oneLine } from "../../../shared/format.ts";
import { diffLines, type DiffLine, type LineDiff } from "../../../shared/line-diff.ts";
import { beginningOf } from "../../../shared/shorten.ts";
import { visible } from "../../../shared/visible-text.ts";
import { editsOf, valuesIn, type FileEdit } from "../../recovery/learnt/edits.ts";
import { subjectOf } from "../../recovery/recall/passages.ts";
import { isSame } from "../../sessions/prompts.ts";

/** Pure: a session as rows for a person who reads it. */

interface Timed {
  readonly id: string;
  /** Epoch ms; null: not known. */
  readonly at: number | null;
}

interface Said extends Timed {
  readonly kind: "prompt" | "answer" | "summary";
  readonly text: string;
  readonly pictures: readonly Picture[];
  /** Facts that SHIM has of a prompt. */
  readonly stored: Pick<StoredPrompt, "from" | "isWaiting" | "number">;
}

interface Called extends Timed {
  readonly kind: "call";
  readonly call: Call;
  /** A call that runs, or whose result was lost, has none. */
  readonly result: CallResult | null;
  readonly isRunning: boolean;
}

interface Noted extends Timed {
  readonly kind: "note";
  readonly text: string;
  readonly isBad: boolean;
}

export type Row = Said | Called | Noted;

/** A prompt that SHIM has stored; its transcript may not have it, or not yet. */
export interface StoredPrompt {
  readonly at: number;
  /** When its user wrote it, which stays when the chat gets it. */
  readonly sentAt: number;
  readonly text: string;
  readonly from: string | null;
  readonly isWaiting: boolean;
  /** Words that no model has had have none. */
  readonly number: number | null;
}

export type Note = Pick<Noted, "text" | "isBad"> & { readonly at: number };

interface Sources {
  /** Oldest first. */
  readonly items: readonly Item[];
  readonly prompts: readonly StoredPrompt[];
  readonly notes: readonly Note[];
  readonly isAlive: boolean;
}

/** An event may come so much later than the row of its prompt. */
const eventAfterRowMs = 10_000;

export function rowsOf({ items, prompts, notes, isAlive }: Sources, now: number): Row[] {
  const idFor = ids();
  const results = new Map(items.flatMap((item) => (item.kind === "result" ? [[item.of, item] as const] : [])));
  const lastPrompt = items.findLastIndex(({ kind }) => kind === "prompt");
  const unmatched = new Set(prompts);
  const storedOf = (said: Item & { readonly text: string }): StoredPrompt | null => {
    const until = said.at === null ? Infinity : said.at + eventAfterRowMs;
    const same = [...unmatched].filter(({ at, text }) => at <= until && isSame(text, said.text));
    const distance = ({ at }: StoredPrompt): number => Math.abs(at - (said.at ?? 0));
    const [known] = same.toSorted((one, two) => distance(one) - distance(two));
    if (!known) return null;
    unmatched.delete(known);
    return { ...known, isWaiting: false };
  };
  const timeOf = timesOf(items, now);
  const main = items.flatMap((item, index): { readonly time: number; readonly row: Row }[] => {
    const time = timeOf(item);
    if (item.kind === "result") return [];
    if (item.kind !== "call") {
      const { kind, text, pictures = [] } = item;
      const known = kind === "prompt" ? storedOf(item) : null;
      // A prompt was shown by what SHIM has stored before its transcript had it.
      const id = idFor(kind, known?.sentAt ?? item.at, text);
      const stored = known ?? unknown;
      return [{ time, row: { id, at: item.at, kind, text, pictures, stored } }];
    }
    const result = results.get(item.id);
    const isMissing = result?.isMissing !== undefined;
    const isRunning = isMissing && isAlive && index > lastPrompt;
    const call = { kind: "call" as const, call: item, result: isMissing ? null : (result ?? null), isRunning };
    return [{ time, row: { id: idFor("call", null, item.id), at: item.at, ...call } }];
  });
  const since = items.find(({ at }) => at !== null)?.at ?? 0;
  const others = [
    ...[...unmatched].map((one) => {
      const id = idFor("prompt", one.sentAt, one.text);
      return { id, at: one.at, kind: "prompt" as const, text: one.text, pictures: [], stored: one };
    }),
    ...notes.map((one) => Object.assign({ id: idFor("note", one.at, one.text), kind: "note" as const }, one)),
  ];
  const added = others.filter(({ at }) => at >= since).toSorted((one, two) => one.at - two.at);
  return merged(main, added);
}

const unknown: Said["stored"] = { from: null, isWaiting: false, number: null };

function merged(
  main: readonly { readonly time: number; readonly row: Row }[],
  added: readonly (Row & { readonly at: number })[],
): Row[] {
  const rows: Row[] = [];
  let next = 0;
  for (const { time, row } of main) {
    for (; next < added.length && (added[next]?.at ?? 0) < time; next += 1) rows.push(...added.slice(next, next + 1));
    rows.push(row);
  }
  return [...rows, ...added.slice(next)];
}

/** Ids by what rows say, so that they stay the same however much of a session is read. */
function ids(): (kind: string, at: number | null, text: string) => string {
  const known = new Map<string, number>();
  return (kind, at, text) => {
    const id = `${kind}:${at ?? text.slice(0, 200)}`;
    const times = (known.get(id) ?? 0) + 1;
    known.set(id, times);
    return times === 1 ? id : `${id}:${times}`;
  };
}

/** Most characters of a text of a row, and of a part of an opened call: its edits are one. */
const most = { text: 100_000, part: 60_000, line: 160, edits: 100, diffLine: 2_000 };

/** @param now epoch ms */
export function shownRow(row: Row, now: number): ConversationRow {
  const shared = { id: row.id, ageMs: row.at === null ? null : now - row.at };
  if (row.kind === "call") return { ...shared, ...shownCall(row) };
  const text = shownText(row.text);
  if (row.kind === "note") return { ...shared, kind: "note", text, isBad: row.isBad };
  const { kind, pictures } = row;
  const { from, isWaiting, number } = row.stored;
  const said = { ...shared, text, pictures: pictures.length };
  return kind === "prompt" ? { ...said, kind, from, isWaiting, number } : { ...said, kind };
}

function shownText(text: string, max = most.text): string {
  return beginningOf(visible(text), max);
}

function shownCall({ call, result, isRunning }: Called): Omit<CallRow, "id" | "ageMs"> {
  const { name, input } = call;
  const { edits, diffs } = changesOf(call);
  const isFailed = result?.isError === true;
  return {
    kind: "call",
    tool: oneLine(name, most.line),
    subject: oneLine(subjectOf(name, input), most.line),
    outcome: isRunning ? "running" : result === null ? "unknown" : isFailed ? "failed" : "done",
    result: result !== null && (isFailed || edits.length === 0) ? oneLine(lineOf(result, name), most.line) : "",
    lines: edits.length > most.edits ? null : countLines(diffs()),
    pictures: result?.pictures?.length ?? 0,
    isAgent: startsAgent(name),
  };
}

/** The line of a result that says most: what failed stands first, what a command came to last. */
function lineOf({ text, isError }: CallResult, name: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (deedOf(name) === "reads" && !isError) return lines.length > 1 ? `${lines.length} lines` : "";
  return (isError ? lines[0] : lines.at(-1)) ?? "";
}

function countLines(diffs: readonly Diff[]): CallRow["lines"] {
  if (diffs.length === 0 || diffs.some(({ isCompared }) => !isCompared)) return null;
  const sumOf = (kind: "added" | "removed"): number => diffs.reduce((sum, diff) => sum + diff[kind], 0);
  return { added: sumOf("added"), removed: sumOf("removed") };
}

interface Diff extends LineDiff {
  readonly path: string;
  readonly added: number;
  readonly removed: number;
}

interface Changes {
  readonly edits: readonly FileEdit[];
  /** Differences of the first edits, as many as are shown. */
  readonly diffs: () => readonly Diff[];
}

const changes = new WeakMap<Call, Changes>();

/** A row is read again and again: what its call changed is compared once. */
function changesOf(call: Call): Changes {
  const known = changes.get(call);
  if (known) return known;
  const edits = deedOf(call.name) === "reads" ? [] : editsOf(call.name, call.input);
  let diffs: readonly Diff[] | null = null;
  const found = { edits, diffs: () => (diffs ??= edits.slice(0, most.edits).map(diffOf)) };
  changes.set(call, found);
  return found;
}

function diffOf({ path, before, after }: FileEdit): Diff {
  const diff = diffLines(visible(before), visible(after));
  const numberOf = (wanted: DiffLine["sign"]): number => diff.lines.filter(({ sign }) => sign === wanted).length;
  return { ...diff, path: oneLine(path), added: numberOf("+"), removed: numberOf("-") };
}

export function openedCall({ call, result }: Called): OpenedCall {
  const { edits, diffs } = changesOf(call);
  const texts = new Set(edits.flatMap(({ path, before, after }) => [path, before, after]));
  let left = most.part;
  const shown = diffs().map(({ path, lines, added, removed }): OpenedCall["edits"][number] => {
    const all = lines.map(({ sign, text }) => `${sign}${beginningOf(text, most.diffLine)}`);
    const fits = all.findIndex((line) => (left -= line.length + 1) < 0);
    const diff = fits < 0 ? all : all.slice(0, fits);
    return { path, added, removed, diff: diff.join("\n"), left: all.length - diff.length };
  });
  return {
    input: shownText(fieldLines(call.input, texts), most.part),
    edits: shown,
    moreEdits: edits.length - shown.length,
    output: shownText(result?.text ?? "", most.part),
  };
}

/**
 * Fields with their names, but a command stands alone.
 *
 * @param left values that are shown otherwise
 */
function fieldLines(input: unknown, left: ReadonlySet<string>): string {
  const fields = asObject(input);
  if (fields === null) return typeof input === "string" ? input : (JSON.stringify(input) ?? "");
  const lines = Object.entries(fields).flatMap(([name, value]) => {
    if (value === null || (typeof value === "string" && left.has(value)) || name === "edits") return [];
    if (name === "command" && typeof value === "string") return [value];
    return [`${name}: ${typeof value === "string" ? value : JSON.stringify(value, null, 2)}`];
  });
  return lines.join("\n");
}

/** All that a search finds a row by. */
export function textOfRow(row: Row): string {
  if (row.kind !== "call") return row.text;
  return [row.call.name, ...valuesIn(row.call.input), row.result?.text ?? ""].join("\n");
}

export function picturesOf(row: Row): readonly Picture[] {
  return row.kind === "note" ? [] : row.kind === "call" ? (row.result?.pictures ?? []) : row.pictures;
}
