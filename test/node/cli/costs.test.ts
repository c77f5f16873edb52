import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import type { Session } from "#src/machine/sessions/sessions.ts";
import { countCost, countResponses } from "#src/machine/usage/ledger.ts";
import { aCliHome, aSeededHome, holding, ids, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { submit, Worker } from "#harness/worker/cli-worker.ts";

type Shown = OutputOf<"budgets.get">;

async function shown(home: CliHome): Promise<Shown> {
  return (await home.json("team budget")) as Shown;
}

it("limits are set one by one, those that are not named stay, and none takes one away", async () => {
  const home = aCliHome();
  expect((await shown(home)).limits).toEqual({ task: {}, chat: {}, day: {} });
  const first = "team budget set --day-usd 20 --task-tokens 500000 --chat-minutes 2.5";
  expect(await home.shim(first)).toMatchObject(printed(/^cost +\$0\.00 +\$20\.00 +none +none$/m));
  const limits = { task: { tokens: 500_000, costMicros: 13_200 }, chat: { wallMs: 150_000 }, day: {} };
  expect(await home.json("team budget set --day-usd none --task-usd 0.0132")).toMatchObject({ limits });
  expect((await shown(home)).limits).toEqual(limits);
  expect((await home.shim("team budget")).out).toEqual(
    holding(
      /^cost +\$0\.00 +none +none +\$0\.0132$/m,
      /^tokens +0 +none +none +500,000$/m,
      /^time +0 s +none +2 min +none$/m,
      /^The day \(UTC\) ends in \d+ (h|min)\.$/m,
    ),
  );
});

it("shows what was used, by which chat, and which limit is reached", async () => {
  const home = aCliHome();
  await home.shim("team budget set --day-usd 1 --chat-tokens 900");
  await submit(home, "build");
  new Worker(home).take().used({ tokens: 1_000, costMicros: 1_250_000, wallMs: 150_000 });
  expect(await shown(home)).toMatchObject({
    today: { tokens: 1_000, costMicros: 1_250_000, wallMs: 150_000 },
    isDaySpent: true,
    chats: [{ chat: "w", machine: "m1", used: { tokens: 1_000 }, isSpent: true }],
  });
  expect((await home.shim("team budget")).out).toEqual(
    holding(
      /^cost +\$1\.25 +\$1\.00 /m,
      "The limit of the day is reached: nothing new starts before the day ends or the limit is raised.",
      /^w test +m1 +\$1\.25 +1,000 +2 min +limit reached$/m,
    ),
  );
});

it("what is no limit is wrong usage, and changes nothing", async () => {
  const home = aCliHome();
  await home.misuses("team budget set", [
    ["", "name a limit"],
    ["--day-usd 0", "above 0"],
    ["--day-usd -1", "above 0"],
    ["--day-usd 0.0000001", "above 0"],
    ["--day-tokens 1e3", "above 0"],
    ["--day-tokens lots", "above 0"],
    ["--chat-tokens 9007199254740993", "above 0"],
    ["--week-usd 1", "unknown option"],
  ]);
  expect((await shown(home)).limits).toEqual({ task: {}, chat: {}, day: {} });
});

function spend(home: CliHome, id: string, model: string, output: number, costUsd: number | null): void {
  home.runtime.store.write((sql) => {
    const session = sessions.get(sql, id) as Session;
    const counts = { inputTokens: 1_000, cacheReadTokens: 50_000, cacheCreationTokens: 200, outputTokens: output };
    const usage = [{ messageId: `${id}${model}`, requestId: null, model, at: home.now, ...counts }];
    countResponses(sql, session, { usage, subagentUsage: [] }, home.now);
    if (costUsd !== null) countCost(sql, session, costUsd, model, home.now);
  });
}

it("`cost` shows tokens and cost by day, session, project, model and task, with their sum", async () => {
  const home = aSeededHome();
  spend(home, ids.alive, "claude-opus-5-5", 3_000, 1.25);
  home.now += 86_400_000;
  spend(home, ids.elsewhere, "claude-sonnet-5-5", 500, 0.5);
  expect(await home.shim("cost")).toMatchObject(
    printed(`DAY         RESPONSES  INPUT  OUTPUT  CACHE READ  CACHE WRITE  COST
2023-11-15  1          1,000  500     50,000      200          $0.50
2023-11-14  1          1,000  3,000   50,000      200          $1.25
total       2          2,000  3,500   100,000     400          $1.75
`),
  );
  expect((await home.shim("cost --by session")).out).toMatch(/^aaaa1111 {2}work of aaaa +1 +1,000 .* \$1\.25$/m);
  expect((await home.shim("cost --by project")).out).toMatch(/^~\/project +1 .* \$1\.25$/m);
  expect((await home.shim("cost --by model")).out).toMatch(/^claude-sonnet-5-5 +1 .* \$0\.50$/m);
  expect((await home.shim("cost --by task")).out).toMatch(/^no task +2 .* \$1\.75$/m);
  const recent = { by: "day", total: { responses: 1, clientCostUsd: 0.5 }, lines: [{ key: "2023-11-15" }] };
  expect(await home.json("cost --since 1h")).toMatchObject(recent);
  expect((await home.shim("cost --by week")).code).toBe(2);
});
