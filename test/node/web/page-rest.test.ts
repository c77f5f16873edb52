import { expect, it, onTestFinished, vi } from "vitest";
import type { Host } from "#src/web/host.ts";
import { call, changed, host, revision } from "#src/web/page-state.ts";

it("[WP9] a page rests fifty times as long as its reads took, at least half a second and at most ten", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  vi.stubGlobal("document", { hidden: false });
  let readMs = 0;
  const slow: Host["call"] = async () => {
    await new Promise((resolve) => setTimeout(resolve, readMs));
    return { ok: true, value: {} as never };
  };
  host.value = { kind: "machine", call: slow, follow: () => () => undefined, signOut: async () => undefined };
  /** Time from a change to the next read, after one that took this long. */
  const restAfter = async (ms: number): Promise<number> => {
    readMs = ms;
    const [read] = [call("page.fleet", {}), await vi.advanceTimersByTimeAsync(ms)];
    await read;
    const [before, began] = [revision.value, performance.now()];
    changed();
    changed();
    while (revision.value === before) await vi.advanceTimersToNextTimerAsync();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(revision.value).toBe(before + 1);
    return performance.now() - 20_000 - began;
  };
  expect(await restAfter(4)).toBe(500);
  expect(await restAfter(100)).toBe(5_000);
  expect(await restAfter(2_000)).toBe(10_000);
});
