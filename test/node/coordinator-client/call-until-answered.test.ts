import { expect, it } from "vitest";
import { callUntilAnswered } from "#src/coordinator-client/call-until-answered.ts";
import type { CoordinatorClient } from "#src/coordinator-client/coordinator-client.ts";
import { err, ok } from "#src/shared/result.ts";
import { FakeTime } from "#harness/clock/fake-time.ts";

it("a report that is repeated comes no sooner than the coordinator asks for", async () => {
  const time = new FakeTime();
  const askedAt: number[] = [];
  const link = {
    call: async () => {
      askedAt.push(time.now);
      return askedAt.length < 4 ? err({ code: "overloaded", message: "later", retryAfterMs: 3_000 }) : ok({});
    },
  } as unknown as CoordinatorClient;
  const platform = { setTimer: time.setTimer, random: () => 0.5 };
  const { signal } = new AbortController();
  const options = { timeoutMs: 1_000, maxPauseMs: 1_000, signal };
  const answer = await time.until(callUntilAnswered({ link, platform }, "chats.list", {}, options));
  expect(answer.ok).toBe(true);
  expect(askedAt).toEqual([0, 3_250, 6_750, 10_250]);
});
