import { expect, it } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import type { Tx } from "#src/coordination/kernel/tx.ts";
import { newestExpiry } from "#src/coordination/messages/unread.ts";
import { StorageSql } from "#src/durable/storage-sql.ts";
import { all, reads, times } from "./costs.ts";
import { type Self, wait } from "./support.ts";

const day = 86_400_000;

function send(self: Self, target: InputOf<"messages.send">["target"]): Parameters<typeof all>[1][number] {
  return { method: "messages.send", params: { self, target, body: 1, ttlMs: 7 * day } };
}

it("[MS35] [MS13] the check of an offline chat reads few of the messages sent after its first day, and finds those before", async () => {
  const found = await reads(
    async (at, count) => {
      const gone = await at.workspace.register("gone");
      await at.workspace.ask("messages.subscribe", { self: gone, pattern: "t.*" });
      await all(at, [send(at.self, { to: "all" }), send(at.self, { to: "topic", topic: "t.a" })]);
      wait(2 * day);
      const later = await at.workspace.register("later");
      await all(
        at,
        times(count, (n) => send(later, n % 2 === 0 ? { to: "all" } : { to: "topic", topic: "t.b" })),
      );
    },
    {
      check: ({ workspace }) =>
        workspace.inside(({ storage }) => {
          const tx = { sql: new StorageSql(storage), now: Date.now() } as unknown as Tx;
          expect(newestExpiry(tx, "gone", tx.now - day)).toBe(tx.now + 5 * day);
          expect(newestExpiry(tx, "gone", tx.now - 3 * day)).toBe(0);
        }),
    },
    [20, 2_000],
  );
  const [few = 0, more = 0] = found["check"] ?? [];
  expect(few).toBeGreaterThan(0);
  // Two checks.
  expect(more - few).toBeLessThanOrEqual(2 * 60);
});
