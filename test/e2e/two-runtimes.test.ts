import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";

/** The worker logs what it finds locked, and is meant to. */
const log = (): void => undefined;

function granted(settled: readonly PromiseSettledResult<OutputOf<"leases.acquire">>[]): string[] {
  const answers = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  return answers.flatMap((answer) => (answer.state === "granted" ? [answer.lease.holder] : []));
}

it("[DO30] two runtimes on one folder: what was acknowledged is there, no lease has two holders, no number comes twice", async () => {
  // Nobody should do that, and SQLite's locks are all that separates them.
  const one = await EdgeRuntime.open({ log });
  const edges = [one, await EdgeRuntime.open({ log, beside: one })] as const;
  const selves = [await edges[0].register("a"), await edges[1].register("b")] as const;
  for (let n = 0; n < 30; n++) {
    const request = { resource: `r${n}`, requestId: `q${n}`, ttlMs: 600_000 };
    const both = await Promise.allSettled(
      edges.map((edge, at) => edge.call("leases.acquire", { ...request, self: selves[at as 0 | 1] })),
    );
    const { leases } = await edges[0].call("leases.list", { prefix: request.resource });
    const holders = leases.filter(({ resource }) => resource === request.resource).map(({ holder }) => holder);
    expect(granted(both)).toEqual(holders);
  }
  const write = async (n: number): Promise<{ key: string; version: number }> => {
    const { version } = await edges[(n % 2) as 0 | 1].call("state.set", { key: `n${n}`, value: n });
    return { key: `n${n}`, version };
  };
  const writes = await Promise.allSettled(Array.from({ length: 200 }, (_, n) => write(n)));
  const done = writes.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  expect(new Set(done.map(({ version }) => version)).size).toBe(done.length);
  const texts = (rows: typeof done): string[] => rows.map(({ key, version }) => `${key} ${version}`).toSorted();
  for (const edge of edges) {
    const { entries } = await edge.call("state.list", { prefix: "n", limit: 500 });
    expect(texts(entries)).toEqual(texts(done));
  }
  // A request that finds the file locked is answered that nothing was changed, and that it may be repeated.
  for (const each of writes)
    if (each.status === "rejected") expect(String(each.reason)).toMatch(/"internal".*"retryable":true/);
});
