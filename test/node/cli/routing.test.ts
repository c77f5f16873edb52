import { expect, it } from "vitest";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import type { EpisodeSums, TypeRoutes } from "#src/contract/routes.ts";
import { toReport } from "#src/routing/routing-report.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";

it("[RT34] without a routed attempt the report says so", async () => {
  const home = aCliHome();
  expect((await home.shim("task routing")).out).toContain("No routed attempt has ended.");
  expect((await home.shim("task routing fix")).out).toContain("No routed attempt has ended.");
  expect(await home.json("task routing")).toEqual({ types: [] });
});

/** Tasks of the same cost and weight. */
function sums(n: number, dollars: number, accepted = n, w = 1): EpisodeSums {
  const [wc, wa] = [w * dollars * n, w * accepted];
  return { n, accepted, w: w * n, ww: w * w * n, wc, wa, wwcc: w * wc * dollars, wwca: w * wa * dollars, wwaa: w * wa };
}

function routes(routed: EpisodeSums, asDefault: EpisodeSums, best = sums(0, 0)): TypeRoutes {
  return { tiers: [], routed, default: asDefault, best, incomparable: 0, unpriced: 0 };
}

it("[RT32] under its least number of tasks, by weight and accepted, a policy has no verdict", () => {
  const enough = sums(40, 1);
  expect(toReport(routes(enough, sums(29, 2))).savedAgainstDefault).toBeNull();
  expect(toReport(routes(enough, sums(40, 2, 19))).savedAgainstDefault).toBeNull();
  expect(toReport(routes(sums(29, 1), sums(40, 2))).savedAgainstDefault).toBeNull();
  // Forty tasks of which one weighs almost all say as much as one.
  const skewed = { ...sums(40, 2), w: 140, ww: 101 ** 2 + 39 };
  expect(toReport(routes(enough, skewed)).alwaysDefault).toMatchObject({
    isEnough: false,
    effectiveN: expect.closeTo(1.9, 1),
  });
  const report = toReport(routes(enough, sums(40, 2)));
  expect(report.savedAgainstDefault).toMatchObject({ dollars: 1, verdict: "cheaper" });
  expect(report.savedAgainstBest).toBeNull();
});

it("[RT33] what differs by less than its intervals is no saving", () => {
  const noisy = (dollars: number): EpisodeSums => {
    const one = sums(40, dollars);
    return { ...one, wwcc: one.wwcc * 5 };
  };
  expect(toReport(routes(noisy(1), noisy(1.3))).savedAgainstDefault?.verdict).toBe("no difference shown");
  expect(toReport(routes(sums(40, 3), sums(40, 2))).savedAgainstDefault).toMatchObject({
    dollars: -1,
    verdict: "dearer",
  });
});

it("[RT32] the cost of an accepted task has that of the tasks that were not", () => {
  expect(toReport(routes(sums(40, 1, 20), sums(0, 0))).routed).toMatchObject({ dollars: 2, accepted: 20, n: 40 });
  expect(toReport(routes(sums(0, 0), sums(0, 0))).routed).toMatchObject({ dollars: null, isEnough: false });
});

it("[RT23] [RT34] the models of a type without a route are shown, and are no report of routing", async () => {
  const home = aCliHome();
  const coordinator = home.coordinator();
  const call = <Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> => {
    const answer = coordinator.call(name, input);
    if (!answer.ok) throw new Error(`${name}: ${answer.error.message}`);
    return answer.value;
  };
  const { incarnation } = call("chats.register", {
    chat: "c",
    session: "s",
    process: "boot-1:9:s9",
    machine: "here",
    client: "test",
  });
  const self = { chat: "c", incarnation };
  call("tasks.submit", { tasks: [{ type: "fix" }] });
  const [held] = call("tasks.claim", { self, requestId: "r1" }).claims;
  const ran = { model: "claude-opus-5-5", effort: null, source: "default" } as const;
  const usage = { wallMs: 1, tokens: 10, costMicros: 2_500 };
  call("tasks.ack", { self, task: held?.task ?? 0, claim: held?.claim ?? 0, ran, usage });
  expect((await home.shim("task routing")).out).toContain("No routed attempt has ended.");
  const { out } = await home.shim("task routing fix");
  expect(out).toContain("All attempts of the type fix, by model");
  expect(out).toMatch(/claude-opus-5-5 +no route +1 +1 +\$0\.0025/);
  expect(out).not.toContain("first attempts by tier");
  expect((await home.shim("task routing other")).out).toContain("No routed attempt has ended.");
});
