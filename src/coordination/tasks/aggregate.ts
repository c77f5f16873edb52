import { isRecord } from "../../shared/json-fields.ts";
import type { Refusal } from "../../contract/errors.ts";
import type { AggregateRule } from "../../contract/tasks.ts";
import type { Json } from "../../contract/json.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { checkJsonShape } from "../../shared/json-shape.ts";
import { readResult } from "./attempt-rows.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";

export type PartResult =
  | { readonly part: string; readonly state: "done"; readonly result: Json }
  | { readonly part: string; readonly state: "dead" | "cancelled"; readonly reason: string };

export interface Aggregate {
  readonly value: Json;
  readonly conflicts: readonly Conflict[];
  readonly isComplete: boolean;
  readonly missing: readonly { readonly part: string; readonly state: "dead" | "cancelled"; readonly reason: string }[];
}

const defaultMaxChars = 262_144;

/**
 * [PL8] Keeps plan order; [PL10] names missing parts. [PL9] A merge overwrites nothing. [PL11]
 * Refused with `bad_input` for an unsafe merge or a part with two results, and with `too_large`.
 * @param maxChars limit of the whole answer as JSON
 */
export function aggregate(
  rule: AggregateRule,
  results: readonly PartResult[],
  maxChars = defaultMaxChars,
): Result<Aggregate, Refusal> {
  const refused = checkResults(results);
  if (refused) return err(refused);
  const done = results.filter((one) => one.state === "done");
  const missing = results
    .filter((one) => one.state !== "done")
    .map(({ part, state, reason }) => ({ part, state, reason }));
  const answer = { ...applyRule(rule, results, done), isComplete: missing.length === 0, missing };
  const chars = charsOf(answer);
  return chars > maxChars ? err(tooLarge(rule === "count" ? [] : done, chars, maxChars)) : ok(answer);
}

type Done = Extract<PartResult, { state: "done" }>;

function applyRule(
  rule: AggregateRule,
  results: readonly PartResult[],
  done: readonly Done[],
): Pick<Aggregate, "value" | "conflicts"> {
  switch (rule) {
    case "collect":
      return { value: done.map(({ part, result }) => ({ part, result })), conflicts: [] };
    case "merge":
      return merge(done.map(({ part, result }) => ({ part, value: result })));
    case "count":
      return { value: countByState(results), conflicts: [] };
  }
}

function countByState(results: readonly PartResult[]): { [name: string]: number } {
  const count = (state: PartResult["state"]) => results.filter((one) => one.state === state).length;
  return { parts: results.length, done: count("done"), dead: count("dead"), cancelled: count("cancelled") };
}

function checkResults(results: readonly PartResult[]): Refusal | null {
  const parts = new Set<string>();
  for (const one of results) {
    if (parts.has(one.part)) return { code: "bad_input", message: `part ${one.part} has two results` };
    parts.add(one.part);
    if (one.state !== "done") continue;
    const problem = checkJsonShape(one.result)?.message ?? (reachesPrototype(one.result) ? prototypeProblem : null);
    if (problem !== null)
      return { code: "bad_input", message: `the result of part ${one.part} cannot be used: ${problem}` };
  }
  return null;
}

const prototypeProblem = "no field may have the name constructor with a field prototype in it";

function reachesPrototype(value: Json): boolean {
  if (typeof value !== "object" || value === null) return false;
  const inner: unknown = Object.hasOwn(value, "constructor") ? Reflect.get(value, "constructor") : null;
  if (typeof inner === "object" && inner !== null && Object.hasOwn(inner, "prototype")) return true;
  return Object.values(value).some(reachesPrototype);
}

function tooLarge(done: readonly Done[], chars: number, maxChars: number): Refusal {
  const [largest] = done
    .map(({ part, result }) => ({ part, chars: charsOf(result) }))
    .toSorted((a, b) => b.chars - a.chars);
  const largestNote = largest ? `; the largest is that of part ${largest.part} with ${largest.chars}` : "";
  return {
    code: "too_large",
    message: `the results of the parts have ${chars} characters as JSON; at most ${maxChars}${largestNote}`,
  };
}

function charsOf(value: unknown): number {
  return JSON.stringify(value).length;
}

interface PartValue {
  readonly part: string;
  readonly value: Json;
}

interface Conflict {
  /** JSON Pointer (RFC 6901) into the merged value; "" is all of it. */
  readonly path: string;
  /** Part whose value was kept; null: none. */
  readonly kept: string | null;
  readonly others: readonly PartValue[];
}

type JsonObject = { [name: string]: Json };

/** [PL9] Merges by field, in the order of parts. Lists that differ conflict: no order is right. */
function merge(parts: readonly PartValue[]): { value: Json; conflicts: readonly Conflict[] } {
  const conflicts: Conflict[] = [];
  const others = parts.filter(({ value }) => !isRecord(value));
  if (others.length > 0) conflicts.push({ path: "", kept: null, others });
  return { value: mergeObjects("", parts.filter(hasObject), conflicts), conflicts };
}

function mergeObjects(
  path: string,
  parts: readonly (PartValue & { readonly value: JsonObject })[],
  conflicts: Conflict[],
): JsonObject {
  const names = new Set(parts.flatMap(({ value }) => Object.keys(value)));
  return Object.fromEntries(
    [...names].map((name) => {
      const inner = parts.flatMap(({ part, value }) => {
        const fieldValue = Object.hasOwn(value, name) ? value[name] : undefined;
        return fieldValue === undefined ? [] : [{ part, value: fieldValue }];
      });
      return [name, mergeField(`${path}/${escapePointer(name)}`, inner, conflicts)];
    }),
  );
}

function mergeField(path: string, parts: readonly PartValue[], conflicts: Conflict[]): Json {
  const [first] = parts;
  if (!first) return null;
  const isKept = isRecord(first.value) ? hasObject : (other: PartValue) => isEqual(first.value, other.value);
  const others = parts.filter((other) => !isKept(other));
  if (others.length > 0) conflicts.push({ path, kept: first.part, others });
  return isRecord(first.value) ? mergeObjects(path, parts.filter(hasObject), conflicts) : first.value;
}

function hasObject(parts: PartValue): parts is PartValue & { readonly value: JsonObject } {
  return isRecord(parts.value);
}

function escapePointer(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

function isEqual(one: Json, other: Json): boolean {
  return JSON.stringify(sortFields(one)) === JSON.stringify(sortFields(other));
}

function sortFields(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortFields);
  if (!isRecord(value)) return value;
  const names = Object.keys(value).toSorted();
  return Object.fromEntries(names.map((name) => [name, sortFields(value[name] ?? null)]));
}

export type JoinOutcome = { readonly result: string } | { readonly failure: string };

/** Limit of one join; more could not be a task's result. */
const maxBytes = 1_000_000;

/** [TA26] Joins in order of dependencies; [PL10] names dead ones with their reason. */
export function joinResults(tx: Tx, row: TaskRow): JoinOutcome {
  if (row.joinRule === null) throw new Error(`task ${row.task} has no rule for a join`);
  const parts = rows.dependenciesOf(tx, row.task).flatMap((task) => rows.find(tx, task) ?? []);
  const results: PartResult[] = [];
  const budget = { bytes: maxBytes };
  const nameOf = partNamer(parts);
  for (const part of parts) {
    const one = resultOfPart(tx, part, nameOf(part), row.joinRule === "count" ? null : budget);
    if (one === null)
      return { failure: `too_large: the results of its parts have more than ${maxBytes} bytes in total` };
    results.push(one);
  }
  const answer = aggregate(row.joinRule, results);
  return answer.ok
    ? { result: JSON.stringify(answer.value) }
    : { failure: `${answer.error.code}: ${answer.error.message}` };
}

/** Names a part by its ref or, where that is missing or ambiguous, its number. */
function partNamer(parts: readonly TaskRow[]): (part: TaskRow) => string {
  const refs = Map.groupBy(parts, ({ ref }) => ref);
  const numbers = new Set(parts.map(({ task }) => String(task)));
  const isUnambiguous = (ref: string): boolean => refs.get(ref)?.length === 1 && !numbers.has(ref);
  return ({ task, ref }) => (ref !== null && isUnambiguous(ref) ? ref : String(task));
}

function resultOfPart(tx: Tx, row: TaskRow, part: string, budget: { bytes: number } | null): PartResult | null {
  if (row.state !== "done") return toMissingPart(row, part);
  if (budget === null) return { part, state: "done", result: null };
  const { text, isLeftOut, bytes } = readResult(tx, row, budget.bytes);
  if (isLeftOut) return null;
  budget.bytes -= bytes;
  return { part, state: "done", result: JSON.parse(text ?? "null") as Json };
}

function toMissingPart({ state, detail, reason }: TaskRow, part: string): PartResult {
  return { part, state: state === "cancelled" ? "cancelled" : "dead", reason: detail ?? reason ?? state };
}
