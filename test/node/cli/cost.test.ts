import { expect, it } from "vitest";
import type { Session } from "#src/local-mcp/sessions/sessions.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { countCost, countResponses } from "#src/local-mcp/usage/ledger.ts";
import { aCliHome, aSeededHome, ids, seed, type CliHome } from "#harness/machine/cli-home.ts";

function spend(home: CliHome, id: string, model: string, output: number, costUsd: number | null): void {
  home.runtime.store.write((sql) => {
    const session = sessions.get(sql, id) as Session;
    const counts = { inputTokens: 1_000, cacheReadTokens: 50_000, cacheCreationTokens: 200, outputTokens: output };
    const usage = [{ messageId: `${id}${model}`, requestId: null, model, at: home.now, ...counts }];
    countResponses(sql, session, { usage, subagentUsage: [] }, home.now);
    if (costUsd !== null) countCost(sql, session, costUsd, model, home.now);
  });
}

it("[CL95] `cost` shows tokens and cost by day, session, project, model and task, with their sum", async () => {
  const home = aSeededHome();
  spend(home, ids.alive, "claude-opus-5-5", 3_000, 1.25);
  home.now += 86_400_000;
  spend(home, ids.elsewhere, "claude-sonnet-5-5", 500, 0.5);
  const byDay = await home.shim("cost");
  expect(byDay.code).toBe(0);
  expect(byDay.out.split("\n").slice(0, 4)).toEqual([
    "DAY         RESPONSES  INPUT  OUTPUT  CACHE READ  CACHE WRITE  COST",
    "2023-11-15  1          1,000  500     50,000      200          $0.50",
    "2023-11-14  1          1,000  3,000   50,000      200          $1.25",
    "total       2          2,000  3,500   100,000     400          $1.75",
  ]);
  expect((await home.shim("cost --by session")).out).toMatch(/^aaaa1111 {2}work of aaaa +1 +1,000 .* \$1\.25$/m);
  expect((await home.shim("cost --by project")).out).toMatch(/^~\/project +1 .* \$1\.25$/m);
  expect((await home.shim("cost --by model")).out).toMatch(/^claude-sonnet-5-5 +1 .* \$0\.50$/m);
  expect((await home.shim("cost --by task")).out).toMatch(/^no task +2 .* \$1\.75$/m);
  const recent = await home.json("cost --since 1h");
  expect(recent).toMatchObject({
    by: "day",
    total: { responses: 1, clientCostUsd: 0.5 },
    lines: [{ key: "2023-11-15" }],
  });
  expect((await home.shim("cost --by week")).code).toBe(2);
});

it("[CL96] what is estimated and what is not known is called so, and nothing at all is said in words", async () => {
  const home = aCliHome();
  expect((await home.shim("cost")).out).toBe("Nothing was counted in that time.\n");
  seed(home);
  spend(home, ids.alive, "claude-opus-5-5", 3_000, null);
  expect((await home.shim("cost")).out).toMatch(/^total .* not known$/m);
  const priced = {
    ...home.runtime,
    config: {
      ...home.runtime.config,
      usage: {
        prices: { "claude-opus-5-5": { input: 10, output: 50, cacheRead: 1, cacheWrite: 12.5 } },
        pricesAsOf: "2026-11-20",
      },
    },
  };
  const makeRuntime = async (): ReturnType<ReturnType<CliHome["io"]>["makeRuntime"]> => ({
    runtime: priced,
    driver: "node:sqlite" as const,
    fallbackReason: null,
  });
  const { out } = await home.shimWith({ makeRuntime }, "cost --by model");
  expect(out).toMatch(/^total .* about \$0\.21$/m);
  expect(out).toContain("$0.21 is estimated by your prices of 2026-11-20");
});
