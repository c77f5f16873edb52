import { expect, it, onTestFinished } from "vitest";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { LocalCalls } from "#src/runtime/local-calls.ts";
import { err } from "#src/shared/result.ts";
import { FakeTime, seededRandom } from "#harness/clock/fake-time.ts";

it("a watch reports at once that another process has written, and frequent writes at most once in 20 ms", async () => {
  const time = new FakeTime();
  const listeners = new Set<() => void>();
  const calls: LocalCalls = {
    call: () => err({ code: "unreachable", message: "not asked" }),
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => undefined,
  };
  const clock = { monotonic: () => time.now, wall: () => time.now };
  const link = WorkspaceClient.openLocal(calls, { clock, setTimer: time.setTimer, random: seededRandom() });
  onTestFinished(() => link.close());
  const hints: string[] = [];
  link.onHint((hint) => hints.push(hint));
  const commit = (): void => {
    for (const listener of listeners) listener();
  };
  link.connect();
  await time.pass(5_000);
  expect(hints).toEqual([]);
  commit();
  await time.pass(1);
  expect(hints).toEqual(["any"]);
  for (let n = 0; n < 10; n++) commit();
  await time.pass(10);
  expect(hints).toEqual(["any"]);
  await time.pass(10);
  expect(hints).toEqual(["any", "any"]);
  link.close();
  expect(listeners.size).toBe(0);
});
