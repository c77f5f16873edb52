import type { Refusal } from "#src/contract/errors.ts";
import { operations } from "#src/contract/operations.ts";
import { runFirst, type EngineOperation } from "#src/coordination/engine.ts";
import type { Actor, List, Tx } from "#src/coordination/kernel/tx.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { m1 } from "./engine-host.ts";
import type { LocalHost } from "./local-host.ts";

/** Frames on a host in this process, run as the object runs them. */

export interface FrameRequest {
  readonly name: EngineOperation;
  readonly input: object;
}

type Answer = Result<unknown, Refusal>;

/** Requests that were run together, by operation. */
export type ListCounts = Map<EngineOperation, number>;

/** Together where nothing is refused, else each on its own. */
export async function runFrame(
  host: LocalHost,
  requests: readonly FrameRequest[],
  counts: ListCounts,
  actor: Actor = m1,
): Promise<Answer[]> {
  const groups = groupsOf(requests);
  const together = host.commit((tx): Result<Answer[], Refusal> => {
    const answers: Answer[] = [];
    for (const group of groups)
      for (let at = 0; at < group.length;) {
        const results = runLeading(tx, actor, group.slice(at), counts);
        answers.push(...results);
        at += results.length;
        const refused = results.find((one) => !one.ok);
        if (refused && !refused.ok) return err(refused.error);
      }
    return ok(answers);
  });
  if (together.ok) return together.value;
  const answers: Answer[] = [];
  for (const group of groups)
    for (let at = 0; at < group.length;) {
      const left = group.slice(at);
      const done = host.commit((tx): Result<Answer[], Refusal> => {
        const results = runLeading(tx, actor, left, counts);
        const refused = results.find((one) => !one.ok);
        return refused && !refused.ok ? err(refused.error) : ok(results);
      });
      const [first] = left;
      if (!done.ok && first) answers.push(await host.call(first.name, first.input, actor));
      else if (done.ok) answers.push(...done.value);
      at = answers.length - countBefore(groups, group);
    }
  return answers;
}

function countBefore(groups: readonly FrameRequest[][], group: FrameRequest[]): number {
  return groups.slice(0, groups.indexOf(group)).reduce((sum, { length }) => sum + length, 0);
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

function runLeading(tx: Tx, actor: Actor, group: readonly FrameRequest[], counts: ListCounts): Answer[] {
  const name = group[0]?.name ?? "settings.get";
  const inputs = group.map(({ input }) => input) as unknown as List<never>;
  const results = [...runFirst(tx, actor, name, inputs)];
  if (results.length > 1) counts.set(name, (counts.get(name) ?? 0) + results.length);
  return results;
}
