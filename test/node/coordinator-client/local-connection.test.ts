import { expect, it, onTestFinished } from "vitest";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { LocalCalls } from "#src/coordinator-client/local/local-connection.ts";
import { err } from "#src/shared/result.ts";
import { FakeTime, seededRandom } from "#harness/clock/fake-time.ts";

it("[EM4] a watch reports at once that another process has written; without a report it is known within two seconds", async () => {
  const time = new FakeTime();
  let version = 1;
  const checks: (() => boolean)[] = [];
  const calls: LocalCalls = {
    call: () => err({ code: "unreachable", message: "not asked" }),
    version: () => version,
    watchCommits: (given) => {
      checks.push(given);
      return () => undefined;
    },
    close: () => undefined,
  };
  const clock = { monotonic: () => time.now, wall: () => time.now };
  const link = WorkspaceClient.openLocal(calls, { clock, setTimer: time.setTimer, random: seededRandom() });
  onTestFinished(() => link.close());
  const hints: string[] = [];
  link.onHint((hint) => hints.push(hint));
  link.connect();
  await time.pass(5_000);
  const [check] = checks;
  expect([check?.(), hints]).toEqual([false, []]);
  version = 2;
  expect([check?.(), check?.(), hints]).toEqual([true, false, ["any"]]);
  version = 3;
  await time.pass(2_000);
  expect(hints).toEqual(["any", "any"]);
});
