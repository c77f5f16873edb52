import { expect, it } from "vitest";
import type { OperationName } from "#src/contract/operations.ts";
import type { Workspace } from "#src/local-mcp/host/host.ts";
import { readQueueRecord } from "#src/local-mcp/experiments/workspace-history.ts";
import { err } from "#src/shared/result.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { admin } from "#harness/coordinator/engine-host.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { ask, given } from "#harness/coordinator/state-calls.ts";

function linkTo(host: LocalHost, forbidden: readonly OperationName[] = []): Pick<Workspace, "call"> {
  const call = async (name: never, input: never) =>
    forbidden.includes(name)
      ? err({ code: "forbidden", message: "the scope is too small" })
      : host.call(name, input, admin);
  return { call: call as unknown as Workspace["call"] };
}

const about = { session: "s1", process: "p1", machine: "m1", client: "test", capacity: 2 };
const ttlMs = 30_000;

async function join(host: LocalHost, more: object = {}): Promise<{ chat: string; incarnation: number }> {
  const { chat, incarnation } = await ask(host, "chats.register", { chat: "c1", ...about, ...more });
  return { chat, incarnation };
}

it("[EX98] ended tasks have the time at which they could run first, their running time and failures", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const self = await join(host);
  await ask(host, "tasks.submit", {
    tasks: [
      { type: "build", priority: 7, backoff: { baseMs: 0 }, ref: "first" },
      { type: "test", dependsOn: ["first"], ref: "second" },
      { type: "never" },
    ],
  });
  const attempt = async (requestId: string, ranMs: number, isDone: boolean, type: string) => {
    const { claims } = await ask(host, "tasks.claim", { self, requestId, limit: 1, types: [type] });
    const { task, claim } = claims[0]!;
    host.wait(ranMs);
    if (isDone) await ask(host, "tasks.ack", { self, task, claim });
    else await ask(host, "tasks.nack", { self, task, claim, reason: "flaky" });
  };
  host.wait(1_000);
  await attempt("r1", 4_000, false, "build");
  await attempt("r2", 6_000, true, "build");
  host.wait(2_000);
  await attempt("r3", 3_000, true, "test");
  const record = given(await readQueueRecord(linkTo(host), ttlMs));
  expect(record.windowMs).toBe(16_000);
  expect(record.tasks).toEqual([
    { type: "build", priority: 7, failures: 1, runMs: 5_000, atMs: 0 },
    { type: "test", priority: expect.any(Number), failures: 0, runMs: 3_000, atMs: 11_000 },
  ]);
  expect(record.chats).toEqual([{ capacity: 2, types: null, fromMs: 0, untilMs: null, end: "left", silences: [] }]);
});

it("[EX98] a silence after which the same process came back is one; another end is that of the chat", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const first = await join(host, { taskTypes: ["build"] });
  await ask(host, "tasks.submit", { tasks: [{ type: "build" }] });
  const { tasks } = await ask(host, "tasks.list", {});
  host.wait(1_000);
  const claimed = await ask(host, "tasks.claim", { self: first, requestId: "r1", limit: 1 });
  const [claim] = claimed.claims;
  if (claim) await ask(host, "tasks.ack", { self: first, task: claim.task, claim: claim.claim });
  expect(tasks).toHaveLength(1);
  host.wait(45_000);
  await host.ring();
  host.wait(45_000);
  await join(host, { taskTypes: ["build"] });
  host.wait(100_000);
  await host.ring();
  host.wait(700_000);
  await join(host, { process: "p2", taskTypes: ["build"] });
  const { chats, windowMs } = given(await readQueueRecord(linkTo(host), ttlMs));
  expect(chats).toMatchObject([
    { types: ["build"], fromMs: 0, end: "died", silences: [{ forMs: 75_000 }] },
    { untilMs: null, silences: [] },
  ]);
  expect(windowMs).toBeGreaterThan(800_000);
  const unread = given(await readQueueRecord(linkTo(host, ["audit.list"]), ttlMs));
  expect(unread.chats).toEqual([
    { capacity: 2, types: ["build"], fromMs: 0, untilMs: null, end: "left", silences: [] },
  ]);
});
