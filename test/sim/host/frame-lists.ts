import { run, runFirst } from "#src/coordination/engine.ts";
import type { Hint, List, Tx } from "#src/coordination/kernel/tx.ts";
import type { Result } from "#src/shared/result.ts";
import type { Sim } from "../sim.ts";
import type { RecordingSql } from "./recording-sql.ts";
import type { Commit, Request } from "./sim-host.ts";

/** Consecutive requests of one operation in a frame. */
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

/** What a run of a group leaves behind. */
interface Left {
  readonly values: readonly unknown[] | null;
  readonly hints: readonly Hint[];
  readonly needsDispatch: boolean;
  readonly tables: string;
}

/**
 * Runs the first requests of a group together. Before that they run one by one and are rolled back: the list must
 * leave the same, and the oracle judges what the single requests wrote.
 * @returns null, without an effect: the first request must run alone
 */
export function runTogether(sim: Sim, sql: RecordingSql, tx: Tx, requests: Group): Commit[] | null {
  const [{ name, actor }] = requests;
  if (requests.length === 1) return null;
  const inputs = requests.map(({ input }) => input) as unknown as List<never>;
  const runList = (watched: Tx): unknown[] => {
    const results: readonly Result<unknown, unknown>[] = runFirst(watched, actor, name, inputs);
    return results.map((one) => (one.ok ? one.value : null));
  };
  const { length } = sql.undone(() => leftBy(sql, tx, runList)).values ?? [];
  if (length < 2) return null;
  const commits: Commit[] = [];
  const runSingles = (watched: Tx): unknown[] | null => {
    const values: unknown[] = [];
    for (const request of requests.slice(0, length)) {
      const before = sql.facts.length;
      const result: Result<unknown, unknown> = run(watched, actor, name, request.input as never);
      if (!result.ok) return null;
      values.push(result.value);
      commits.push({ request, result, facts: sql.facts.slice(before) });
    }
    return values;
  };
  const singles = sql.undone(() => leftBy(sql, tx, runSingles));
  const list = sql.unread(() => leftBy(sql, tx, runList));
  sim.count(`list of ${name}`);
  for (const part of ["values", "hints", "needsDispatch", "tables"] as const) {
    const [is, want] = [JSON.stringify(list[part]), JSON.stringify(singles[part])];
    sim.must(is === want, "list", () => `${part} after a list of ${name}: ${difference(is, want)}`);
  }
  for (const hint of list.hints) tx.tell(hint);
  if (list.needsDispatch) tx.requestDispatch?.();
  return commits;
}

/** @param work returns null where a request is refused */
function leftBy(sql: RecordingSql, tx: Tx, work: (tx: Tx) => readonly unknown[] | null): Left {
  const hints: Hint[] = [];
  let needsDispatch = false;
  const requestDispatch = tx.requestDispatch ? () => void (needsDispatch = true) : null;
  const values = work({ ...tx, requestDispatch, tell: (hint) => void hints.push(hint) });
  return { values, hints, needsDispatch, tables: values ? tablesOf(sql) : "" };
}

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
