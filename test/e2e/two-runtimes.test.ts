import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { LocalEdge, startEdge } from "../../scripts/local-edge.ts";

const entry = join(import.meta.dirname, "../../src/worker/worker-entry.ts");

function log(): void {
  // What is found locked is logged by the worker, and is meant to be.
}

/** Two workerds on one folder of state: nobody should do that, and SQLite's locks are all that stands between them. */
async function twoRuntimes(): Promise<[LocalEdge, LocalEdge]> {
  const folder = mkdtempSync(join(tmpdir(), "shim-two-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const one = new LocalEdge(await startEdge({ entry, folder, log }));
  onTestFinished(() => one.close());
  const two = new LocalEdge(await startEdge({ entry, folder, log, beside: one }));
  onTestFinished(() => two.close());
  return [one, two];
}

async function selfOf(edge: LocalEdge, chat: string): Promise<{ chat: string; incarnation: number }> {
  const about = { chat, session: chat, process: `boot/1/${chat}`, machine: "m", client: "t" };
  const { incarnation } = await edge.call("chats.register", about);
  return { chat, incarnation };
}

function granted(settled: readonly PromiseSettledResult<OutputOf<"leases.acquire">>[]): string[] {
  const answers = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  return answers.flatMap((answer) => (answer.state === "granted" ? [answer.lease.holder] : []));
}

it("[DO30] two runtimes on one folder: what was acknowledged is there, no lease has two holders, no number comes twice", async () => {
  const edges = await twoRuntimes();
  const selves = [await selfOf(edges[0], "a"), await selfOf(edges[1], "b")] as const;
  for (let n = 0; n < 30; n++) {
    const request = { resource: `r${n}`, requestId: `q${n}`, ttlMs: 600_000 };
    const both = await Promise.allSettled(
      edges.map((edge, at) => edge.call("leases.acquire", { ...request, self: selves[at as 0 | 1] })),
    );
    const { leases } = await edges[0].call("leases.list", { prefix: request.resource });
    const holders = leases.filter(({ resource }) => resource === request.resource).map(({ holder }) => holder);
    expect(granted(both)).toEqual(holders);
  }
  const writes = await Promise.allSettled(
    Array.from({ length: 200 }, async (_, n) => {
      const { version } = await (edges[n % 2] ?? edges[0]).call("state.set", { key: `n${n}`, value: n });
      return { key: `n${n}`, version };
    }),
  );
  const done = writes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  expect(new Set(done.map(({ version }) => version)).size).toBe(done.length);
  for (const edge of edges) {
    const { entries } = await edge.call("state.list", { prefix: "n", limit: 500 });
    expect(entries.map(({ key, version }) => `${key} ${version}`).toSorted()).toEqual(
      done.map(({ key, version }) => `${key} ${version}`).toSorted(),
    );
  }
  // Whoever finds the file locked is told that nothing was changed, and that it may ask again.
  for (const one of writes)
    if (one.status === "rejected") expect(String(one.reason)).toMatch(/"internal".*"retryable":true/);
});
