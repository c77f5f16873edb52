import { expect, it } from "vitest";
import type { PageOutputs } from "#src/contract/live-page.ts";
import * as audit from "#src/local-mcp/audit/machine-audit.ts";
import { start } from "#src/local-mcp/experiments/experiments.ts";
import { aSeededHome } from "#harness/machine/cli-home.ts";
import { seedExperiments } from "#harness/web/experiment-seed.ts";
import { callAs, fakeBundle, servePage, signIn } from "#harness/web/live-page.ts";

it("[WP22] the experiments have their change, sessions and ages by the server's clock, and what can be done with each", async () => {
  const home = aSeededHome();
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const read = async () => (await callAs(page, authorization, { name: "page.experiments" })).value;
  expect(await read()).toEqual({ experiments: [], offAgeMs: null, opportunities: [], trouble: null });
  const { running, kept } = seedExperiments(home);
  home.now += 60_000;
  expect(await read()).toEqual({
    offAgeMs: null,
    trouble: null,
    opportunities: [{ pattern: "waits_with_idle_chats", n: 2 }],
    experiments: expect.arrayContaining([
      {
        id: running,
        change: "checkpoint.everyMs: 300000 -> 250000",
        state: "canary",
        isRunning: true,
        sessions: { without: 0, with: 0 },
        stepAgeMs: 60_000,
        note: expect.stringContaining("50 % of new sessions"),
        reason: "to lose fewer calls",
        ending: { isRevert: false, effect: expect.stringContaining("300000 again at once") },
      },
      expect.objectContaining({
        id: kept,
        state: "kept",
        isRunning: false,
        ending: { isRevert: true, effect: expect.stringContaining("config.json gets checkpoint.everyToolCalls = 10") },
      }),
    ]),
  });
  home.now += 2 * 86_400_000;
  expect(await read()).toMatchObject({ opportunities: [] });
});

it("[WP23] [EX58] experiments are ended and switched from the page once each, with an entry in the audit log", async () => {
  const home = aSeededHome();
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const { running, kept } = seedExperiments(home);
  const run = (name: string, input: object, requestId: string) =>
    callAs(page, authorization, { name, input, requestId });
  const end = (experiment: string, isRevert: boolean, requestId: string) =>
    run("page.end-experiment", { experiment, isRevert }, requestId);
  expect((await end(kept, false, "r0")).value).toEqual({ state: "kept" });
  for (const requestId of ["r1", "r1", "r2"])
    expect((await end(running, false, requestId)).value).toEqual({ state: "stopped" });
  for (const requestId of ["r3", "r4"])
    expect((await end(kept, true, requestId)).value).toEqual({ state: "rolled back" });
  expect(await end("exp_none", false, "r5")).toMatchObject({ status: 404 });
  expect(await run("page.end-experiment", { experiment: running }, "r6")).toMatchObject({ status: 400 });
  const again = start(home.runtime, { key: "checkpoint.everyMs", to: 250_000, reason: "", replay: null });
  const id = again.ok ? again.value.id : "";
  for (const requestId of ["r7", "r7"])
    expect((await run("page.switch-experiments", { isOff: true }, requestId)).value).toEqual({ stopped: [id] });
  expect((await callAs(page, authorization, { name: "page.experiments" })).value).toMatchObject({ offAgeMs: 0 });
  for (const requestId of ["r8", "r9"]) await run("page.switch-experiments", { isOff: false }, requestId);
  const entries = audit.listNewest(home.runtime, 20);
  expect(new Set(entries.map(({ actor }) => actor))).toEqual(new Set(["live page"]));
  expect(entries.map(({ kind, subject }) => [kind, subject])).toEqual([
    ["experiments.allowed", ""],
    ["experiments.off", ""],
    ["experiment.stopped", id],
    ["experiment.reverted", kept],
    ["experiment.stopped", running],
  ]);
});

it("[WP22] [WP23] a trial of the workspace is shown and ended like those of the machine, and stopped with all", async () => {
  const home = aSeededHome();
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const read = async () =>
    (await callAs(page, authorization, { name: "page.experiments" })).value as PageOutputs["page.experiments"];
  const run = (name: string, input: object, requestId: string) =>
    callAs(page, authorization, { name, input, requestId });
  const start = () => home.shim("learn experiments start balancingIntervalMs 2500");
  const interval = async () => (await home.shim("team settings get balancingIntervalMs")).out;

  await start();
  const { trouble, experiments } = await read();
  const [first] = experiments;
  expect([trouble, experiments.length, first]).toEqual([
    null,
    1,
    expect.objectContaining({
      change: "balancingIntervalMs of the workspace: 5000 -> 2500",
      state: "deployed",
      isRunning: true,
      sessions: null,
      ending: { isRevert: true, effect: expect.stringContaining("is 5000 again at once") },
    }),
  ]);
  const end = { experiment: first?.id, isRevert: true };
  expect((await run("page.end-experiment", end, "r1")).value).toEqual({ state: "rolled back" });
  expect(await interval()).toBe("5000\n");
  expect((await read()).experiments[0]).toMatchObject({ isRunning: false, ending: null });
  expect((await run("page.end-experiment", end, "r2")).value).toEqual({ state: "rolled back" });

  await start();
  expect((await run("page.switch-experiments", { isOff: true }, "r3")).value).toEqual({
    stopped: [expect.stringMatching(/^ws_/)],
  });
  expect(await interval()).toBe("5000\n");
  expect((await read()).offAgeMs).toBe(0);
  expect((await start()).code).not.toBe(0);
  await run("page.switch-experiments", { isOff: false }, "r4");
  expect((await start()).code).toBe(0);
  const ends = audit.listNewest(home.runtime, 9).filter(({ actor }) => actor === "live page");
  expect(ends.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["experiment.stopped", "experiment.reverted"]));
});
