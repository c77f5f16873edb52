import { expect, it } from "vitest";
import { defaultSettings, Settings } from "#src/contract/workspaces.ts";
import { lowersSafety, nextValue, refusalOfStep } from "#src/experiments/parameters.ts";
import { findWorkspaceParameter, workspaceParameters } from "#src/experiments/queue/workspace-parameters.ts";

it("[EX84] each setting of a workspace under simulation has a default and bounds that the workspace accepts", () => {
  for (const { key, min, max } of workspaceParameters) {
    for (const value of [min, max]) expect(Settings.partial().safeParse({ [key]: value }).success).toBe(true);
    expect(defaultSettings[key]).toBeGreaterThanOrEqual(min);
    expect(defaultSettings[key]).toBeLessThanOrEqual(max);
  }
});

it("[EX84] one step is at most twice or half the value, within the bounds, and in whole milliseconds", () => {
  const ttl = findWorkspaceParameter("chatTtlMs");
  if (!ttl) throw new Error("no such parameter");
  expect(["up", "down"].map((direction) => nextValue(ttl, 30_000, direction as "up" | "down"))).toEqual([
    60_000, 15_000,
  ]);
  expect(nextValue(ttl, 120_000, "up")).toBeNull();
  const refusals = [60_001.5, 90_000, 600_000, 30_000].map((to) => refusalOfStep(ttl, 30_000, to));
  expect(refusals).toEqual(["not_whole", "step_too_large", "out_of_range", "no_change"]);
  expect(findWorkspaceParameter("maxTasks")).toBeNull();
});

it("[EX84] what finds a dead chat later is for a person; balancing is not", () => {
  const risky = workspaceParameters.filter((one) => lowersSafety(one, one.min, one.max)).map(({ key }) => key);
  expect(risky).toEqual(["chatTtlMs", "startDeadlineMs"]);
  expect(workspaceParameters.some((one) => lowersSafety(one, one.max, one.min))).toBe(false);
});
