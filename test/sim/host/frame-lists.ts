import { run, runFirst } from "#src/coordination/engine.ts";
import type { Hint, List, Tx } from "#src/coordination/kernel/tx.ts";
import type { Result } from "#src/shared/result.ts";
import type { Sim } from "../sim.ts";
import type { RecordingSql } from "./recording-sql.ts";
import type { Commit, Request } from "./sim-host.ts";

/** Requests of one operation that follow each other in a frame. */
export type Group = readonly [Request, ...Request[]];

export function groupsOf(requests: readonly Request[]): Group[] {
  const groups: [Request, ...Request[]][] = [];
  for (const request of requests) {
    const last = groups.at(-1);
    if (last?.[0].name === request.name) last.push(request);
    else groups.push([request]);
  }
  return groups;
}

/** What a run of a group leaves. */
interface Left {
  readonly values: readonly unknown[] | null;
  readonly hints: readonly Hint[];
  readonly needsDispatch: boolean;
  readonly tables: string;
}

/**
 * Runs the first requests of a group together. Before that they run one by one and are undone: the list must leave the same, and what
 * they wrote, request by request, is what the other rules are judged by.
 * @returns null, without an effect: run the first alone
 */
export function runTogether(sim: Sim, sql: RecordingSql, tx: Tx, requests: Group): Commit[] | null {
  const [{ name, actor }] = requests;
  if (requests.length === 1) return null;
  const inputs = requests.map(({ input }) => input) as unknown as List<never>;
  const runs = (watched: Tx): unknown[] => {
    const results: readonly Result<unknown, unknown>[] = runFirst(watched, actor, name, inputs);
    return results.map((one) => (one.ok ? one.value : null));
  };
  const { length } = sql.undone(() => left(sql, tx, runs)).values ?? [];
  if (length < 2) return null;
  const commits: Commit[] = [];
  const taken = requests.slice(0, length);
  const singles = sql.undone(() => left(sql, tx, (watched) => runSingles(sql, watched, taken, commits)));
  const list = sql.unread(() => left(sql, tx, runs));
  sim.count(`list of ${name}`);
  for (const part of ["values", "hints", "needsDispatch", "tables"] as const) {
    const [is, want] = [JSON.stringify(list[part]), JSON.stringify(singles[part])];
    sim.must(is === want, "list", () => `${part} after a list of ${name}: ${difference(is, want)}`);
  }
  for (const hint of list.hints) tx.tell(hint);
  if (list.needsDispatch) tx.requestDispatch?.();
  return commits;
}

/** @returns the values, null where one is refused */
function runSingles(sql: RecordingSql, tx: Tx, requests: readonly Request[], commits: Commit[]): unknown[] | null {
  const values: unknown[] = [];
  for (const request of requests) {
    const before = sql.facts.length;
    const result: Result<unknown, unknown> = run(tx, request.actor, request.name, request.input as never);
    if (!result.ok) return null;
    values.push(result.value);
    commits.push({ request, result, facts: sql.facts.slice(before) });
  }
  return values;
}

function left(sql: RecordingSql, tx: Tx, work: (tx: Tx) => readonly unknown[] | null): Left {
  const hints: Hint[] = [];
  let needsDispatch = false;
  const requestDispatch = tx.requestDispatch ? () => void (needsDispatch = true) : null;
  const values = work({ ...tx, requestDispatch, tell: (hint) => void hints.push(hint) });
  return { values, hints, needsDispatch, tables: values ? tablesOf(sql) : "" };
}

/** All rows, as text. */
function tablesOf(sql: RecordingSql): string {
  const tables = sql.peek<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
  return tables.map(({ name }) => `${name} ${JSON.stringify(sql.peek(`SELECT * FROM ${name}`))}`).join("\n");
}

function difference(is: string, want: string): string {
  let at = 0;
  while (at < is.length && is[at] === want[at]) at += 1;
  const from = Math.max(0, at - 100);
  return `${is.slice(from, at + 100)} instead of ${want.slice(from, at + 100)}`;
}
