import { expect } from "vitest";
import { check, pass, second, statusOf } from "#harness/coordinator/peers.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import type { RowTest } from "./rule-test.ts";

/** What liveness costs in rows, which on the edge are billed. */
export function livenessRowRules(it: RowTest): void {
  it("[CH20] while a connection shows that it lives, an unchanged heartbeat writes no row", async ({ host, a }) => {
    await host.connect("a");
    const news = { status: "busy", taskCount: 1, progress: "half", health: { cpu: 0.52, memory: 0.31, uptimeMs: 1 } };
    await a.beat({ ...news, status: "busy" });
    const before = await host.rowsWritten();
    for (let n = 1; n < 200; n++) {
      host.wait(10 * second);
      await host.ping("a");
      await a.beat(n % 2 ? {} : { ...news, status: "busy", health: { cpu: 0.54, memory: 0.29, uptimeMs: n } });
    }
    expect(await host.rowsWritten()).toBe(before);
  });

  it("[CH20] without a connection a heartbeat writes at most one row in each third of the ttl", async ({ host, a }) => {
    await a.hold("x", { isBound: true });
    await host.ring();
    const before = await host.rowsWritten();
    for (let n = 0; n < 300; n++) {
      host.wait(second);
      await a.beat();
    }
    expect(await host.rowsWritten()).toBeLessThanOrEqual(before + 30);
    expect(await statusOf(host, "a")).toBe("idle");
  });

  it("[CH20] reading chats writes no row, also where it finds that one is gone", async ({ host, a }) => {
    await a.hold("x");
    host.wait(31 * second);
    const before = await host.rowsWritten();
    given(await host.call("chats.list", {}));
    given(await host.call("leases.list", {}));
    await check(host, "x", 1);
    expect(await statusOf(host, "a")).toBe("offline timeout");
    expect(await host.rowsWritten()).toBe(before);
  });

  it("[CH6] an alarm that finds all chats alive writes one row for each that it looks at", async ({ host, a }) => {
    await host.connect("a");
    await a.hold("x", { isBound: true });
    const before = await host.rowsWritten();
    for (let n = 0; n < 360; n++) {
      await pass(host, 10 * second);
      await host.ping("a");
    }
    // An hour in steps of twenty to thirty seconds.
    expect((await host.rowsWritten()) - before).toBeLessThanOrEqual(190);
  });
}
