import type { Refusal } from "#src/contract/errors.ts";
import { operations } from "#src/contract/operations.ts";
import { hasSet, run, runSet, type EngineOperation } from "#src/coordination/engine.ts";
import { emptyReadCache } from "#src/coordination/kernel/read-cache.ts";
import type { Actor, Tx } from "#src/coordination/kernel/tx.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { m1 } from "./engine-host.ts";
import type { LocalHost } from "./local-host.ts";

/** Frames on a host in this process, run as the object runs them. */

export interface FrameRequest {
  readonly name: EngineOperation;
  readonly input: object;
}

type Answer = Result<unknown, Refusal>;

/** Requests that were run as sets, by operation. */
export type SetCounts = Map<EngineOperation, number>;

/** Together where nothing is refused, else each on its own. */
export async function runFrame(
  host: LocalHost,
  requests: readonly FrameRequest[],
  counts: SetCounts,
  actor: Actor = m1,
): Promise<Answer[]> {
  const groups = groupsOf(requests);
  const together = host.commit((tx): Result<Answer[], Refusal> => {
    const shared = { ...tx, cache: emptyReadCache() };
    const answers: Answer[] = [];
    for (const group of groups) {
      const values = setOf(shared, actor, group, counts);
      if (values) answers.push(...values);
      else for (const { name, input } of group) answers.push(run(shared, actor, name, input as never));
      const refused = answers.find((one) => !one.ok);
      if (refused && !refused.ok) return err(refused.error);
    }
    return ok(answers);
  });
  if (together.ok) return together.value;
  const answers: Answer[] = [];
  for (const group of groups) {
    const { value } = host.commit((tx) => ok(setOf(tx, actor, group, counts)));
    if (value) answers.push(...value);
    else for (const { name, input } of group) answers.push(await host.call(name, input, actor));
  }
  return answers;
}

function groupsOf(requests: readonly FrameRequest[]): FrameRequest[][] {
  const groups: FrameRequest[][] = [];
  for (const request of requests) {
    const last = groups.at(-1);
    if (last?.[0]?.name === request.name) last.push(checked(request));
    else groups.push([checked(request)]);
  }
  return groups;
}

function checked({ name, input }: FrameRequest): FrameRequest {
  return { name, input: operations[name].input.parse(input) };
}

function setOf(tx: Tx, actor: Actor, group: readonly FrameRequest[], counts: SetCounts): Answer[] | null {
  const name = group[0]?.name;
  if (name === undefined || group.length === 1 || !hasSet(name)) return null;
  const values = withoutTrace(tx, (watched) =>
    runSet(watched, actor, name, group.map(({ input }) => input) as never[]),
  );
  if (values) counts.set(name, (counts.get(name) ?? 0) + values.length);
  return values && values.map((value) => ok(value));
}

/** A set that does not apply must have left nothing. */
function withoutTrace<T>(tx: Tx, work: (tx: Tx) => T | null): T | null {
  let hints = 0;
  const before = rowsWritten(tx);
  const value = work({ ...tx, tell: (hint) => ((hints += 1), tx.tell(hint)) });
  if (value === null && (rowsWritten(tx) > before || hints > 0)) throw new Error("the set has left something");
  return value;
}

function rowsWritten({ sql }: Tx): number {
  return sql.all<{ n: number }>("SELECT total_changes() AS n")[0]?.n ?? 0;
}
