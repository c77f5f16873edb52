import { expect, it } from "vitest";
import { aClient, codeOf, ofType, registered } from "#harness/edge/edge-clients.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";

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

it("[EC23] a mark is sent back, and is told to nobody", async () => {
  const edge = new FakeEdge();
  const made = await registered(edge, "a");
  edge.connections[0]?.notify("flow.mark", { mark: "m-1" });
  await edge.time.pass(1_000);
  expect(edge.arrived.filter(({ name }) => name === "flow.read").map(({ input }) => input)).toEqual([{ mark: "m-1" }]);
  expect(ofType(made, "problem")).toEqual([]);
});
