import { expect, it } from "vitest";
import { onEdge, aClient, codeOf, value, ofType } from "#harness/edge/edge-clients.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";

function next(entry: { readonly value: unknown } | null): number {
  return Number(entry?.value ?? 0) + 1;
}

it("[EC18] an update makes the next value of what was there, or nothing", async () => {
  const { edge, call, client } = aClient();
  const first = value(await edge.time.until(client.atomicUpdate("k", next)));
  const second = value(
    await edge.time.until(client.atomicUpdate("k", async (entry) => next(await Promise.resolve(entry)))),
  );
  expect(second.version).toBeGreaterThan(first.version ?? 0);
  expect(value(await edge.time.until(client.atomicUpdate("k", () => undefined)))).toEqual({ version: null });
  expect(value(await call("state.get", { key: "k" })).entry?.value).toBe(2);
});

it("[EC18] of many at once each takes effect once", async () => {
  const edge = new FakeEdge();
  const clients = [1, 2, 3, 4].map((seed) => aClient(edge, { seed }).client);
  const updates = clients.flatMap((client) => Array.from({ length: 5 }, () => client.atomicUpdate("k", next)));
  for (const update of await edge.time.until(Promise.all(updates))) value(update);
  expect(value(await edge.host.call("state.get", { key: "k" })).entry?.value).toBe(20);
});

it("[EC18] a lost answer does not count as a change by another chat", async () => {
  const { edge, client } = aClient();
  value(await edge.time.until(client.atomicUpdate("k", next)));
  let left = 2;
  edge.faults.loses = ({ direction, text }) =>
    direction === "down" && text.includes('"version"') && !text.includes("entry") && left-- > 0;
  value(await edge.time.until(client.atomicUpdate("k", next)));
  expect(edge.count("state.set")).toBe(4);
  expect(value(await edge.host.call("state.get", { key: "k" })).entry?.value).toBe(2);
});

it("[EC18] when others are first each time it is refused after a bounded number of attempts, with pauses between", async () => {
  const { edge, call, client } = aClient();
  value(await call("state.get", { key: "k" }));
  edge.faults.refuses = ({ name }) =>
    name === "state.set" ? { code: "version_mismatch", message: "not first" } : null;
  const began = edge.time.now;
  expect(codeOf(await edge.time.until(client.atomicUpdate("k", next, { attempts: 5 })))).toBe("version_mismatch");
  expect(edge.count("state.set")).toBe(5);
  expect(edge.time.now - began).toBeGreaterThan(5 * 20);
  expect(codeOf(await edge.time.until(client.atomicUpdate("k", next)))).toBe("version_mismatch");
  expect(edge.count("state.set")).toBe(25);
});

it("[EC18] an update under a guard ends when the guard is lost", async () => {
  const { edge, client } = await onEdge();
  const right = value(await edge.time.until(client.hold({ resource: "r" })));
  value(
    await edge.time.until(
      client.atomicUpdate("k", next, { guard: { resource: right.name, token: right.token }, by: "a", ttlMs: 60_000 }),
    ),
  );
  await edge.time.until(right.release());
  expect(
    codeOf(
      await edge.time.until(client.atomicUpdate("k", next, { guard: { resource: right.name, token: right.token } })),
    ),
  ).toBe("stale_token");
});

it("[EC11] a token that is held back is asked again, later than it says by chance, within the deadline", async () => {
  const heldBack = [
    { code: "rate_limited", message: "slow down", retryAfterMs: 2_000 },
    { code: "throttled", message: "too much", retryAfterMs: 2_000, details: { limit: "maxOperationsPerSecond" } },
  ] as const;
  for (const refusal of heldBack) {
    const waits = new Set<number>();
    for (const seed of [1, 2, 3, 4]) {
      const edge = new FakeEdge();
      const { client } = aClient(edge, { seed });
      let left = 1;
      edge.faults.refuses = () => (left-- > 0 ? refusal : null);
      const began = edge.time.now;
      expect(codeOf(await edge.time.until(client.call("state.get", { key: "k" })))).toBe("ok");
      waits.add(edge.time.now - began);
      expect(edge.time.now - began).toBeGreaterThanOrEqual(2_000);
      edge.faults.refuses = () => refusal;
      const late = await edge.time.until(client.call("state.get", { key: "k" }, 6_000), 6_100);
      expect(codeOf(late)).toBe(refusal.code);
      expect(edge.count("state.get")).toBeLessThanOrEqual(6);
    }
    // Clients that were told the same time do not all come back at that time.
    expect(waits.size).toBeGreaterThan(1);
  }
});

it("[EC23] a mark is sent back, and no listener gets it", async () => {
  const { edge, ...made } = await onEdge();
  edge.connections[0]?.notify("flow.mark", { mark: "m-1" });
  await edge.time.pass(1_000);
  expect(edge.arrived.filter(({ name }) => name === "flow.read").map(({ input }) => input)).toEqual([{ mark: "m-1" }]);
  expect(ofType(made, "problem")).toEqual([]);
});
