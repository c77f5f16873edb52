import { expect, it } from "vitest";
import { oneAfterAnother, oneAtATime } from "#src/shared/one-at-a-time.ts";

/** Work whose runs end when the test says so. */
function aWork() {
  const ends: ((outcome: string) => void)[] = [];
  const work = (): Promise<string> => new Promise((resolve) => void ends.push(resolve));
  return { work, ends };
}

it("a call during a run gets its outcome; a later one runs again, also after a run that failed", async () => {
  const { work, ends } = aWork();
  const run = oneAtATime(work);
  const both = [run(), run()];
  ends[0]?.("first");
  expect([await both[0], await both[1], ends.length]).toEqual(["first", "first", 1]);
  const next = run();
  ends[1]?.("second");
  expect(await next).toBe("second");
  let runs = 0;
  const failing = oneAtATime(() => ((runs += 1), Promise.reject(new Error("no"))));
  for (let times = 0; times < 2; times++) await expect(failing()).rejects.toThrow("no");
  expect(runs).toBe(2);
});

it("calls during a run lead to one more, whose outcome all of them get, unless the outcome ends it", async () => {
  const { work, ends } = aWork();
  const run = oneAfterAnother(work, (outcome) => outcome === "over");
  const all = [run(), run(), run()];
  ends[0]?.("first");
  await new Promise(setImmediate);
  ends[1]?.("second");
  expect([await Promise.all(all), ends.length]).toEqual([["second", "second", "second"], 2]);
  const last = [run(), run()];
  ends[2]?.("over");
  expect([await Promise.all(last), ends.length]).toEqual([["over", "over"], 3]);
});
