import { expect, it } from "vitest";
import type { MachineOutput } from "#src/contract/machine/operations.ts";
import * as audit from "#src/machine/sessions/machine-audit.ts";
import { aSeededHome } from "#harness/machine/cli-home.ts";
import { startTrial } from "#harness/experiments/trials.ts";
import { seedExperiments } from "#harness/web/experiment-seed.ts";
import { callAs, fakeBundle, servePage, signIn } from "#harness/web/live-page.ts";

it("the experiments have their change, sessions and ages by the server's clock, and what can be done with each", async () => {
  const home = aSeededHome();
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const read = async () => (await callAs(page, authorization, { name: "experiments.list" })).value;
  const nothing = { offSince: null, opportunities: [] };
  expect(await read()).toEqual({ ...nothing, experiments: [], readAt: home.now });
  const { running, kept } = seedExperiments(home);
  home.now += 60_000;
  const listed = (await read()) as MachineOutput<"experiments.list">;
  expect(listed).toEqual({
    ...nothing,
    opportunities: [{ pattern: "task_stalls", n: 2 }],
    readAt: home.now,
    experiments: expect.arrayContaining([
      expect.objectContaining({
        id: running,
        key: "checkpoint.everyMs",
        from: 300_000,
        to: 250_000,
        state: "canary",
        isRunning: true,
        sessions: { without: 0, with: 0 },
        reason: "to lose fewer calls",
        ending: { isRevert: false, consequence: expect.stringContaining("300000 again at once") },
      }),
      expect.objectContaining({
        id: kept,
        state: "kept",
        isRunning: false,
        ending: {
          isRevert: true,
          consequence: expect.stringContaining("config.json gets checkpoint.everyToolCalls = 10"),
        },
      }),
    ]),
  });
  const lastStep = listed.experiments.find(({ id }) => id === running)?.steps.at(-1);
  expect(lastStep).toMatchObject({
    at: home.now - 60_000,
    note: expect.stringContaining("50 % of new sessions"),
  });
  home.now += 2 * 86_400_000;
  expect(await read()).toMatchObject({ opportunities: [] });
});

it("experiments are ended and switched from the page once each, with an entry in the audit log", async () => {
  const home = aSeededHome();
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const { running, kept } = seedExperiments(home);
  const run = (name: string, input: object, requestId: string) =>
    callAs(page, authorization, { name, input, requestId });
  const stop = (experiment: string, requestId: string) => run("experiments.stop", { experiment }, requestId);
  const revert = (experiment: string, requestId: string) => run("experiments.revert", { experiment }, requestId);
  const hasEnded = { value: { error: { code: "ended", message: expect.any(String) } } };
  expect(await stop(kept, "r0")).toMatchObject(hasEnded);
  for (const requestId of ["r1", "r1"])
    expect((await stop(running, requestId)).value).toMatchObject({ stopped: [{ id: running, state: "stopped" }] });
  expect(await stop(running, "r2")).toMatchObject(hasEnded);
  for (const requestId of ["r3", "r3"])
    expect((await revert(kept, requestId)).value).toMatchObject({ id: kept, state: "rolled back" });
  expect(await revert(kept, "r4")).toMatchObject(hasEnded);
  expect(await stop("exp_none", "r5")).toMatchObject({ status: 404 });
  expect(await run("experiments.stop", {}, "r6")).toMatchObject({ status: 400 });
  const { id } = startTrial(home.runtime, "checkpoint.everyMs", 250_000);
  for (const requestId of ["r7", "r7"])
    expect((await run("experiments.stop", { all: true }, requestId)).value).toMatchObject({ stopped: [{ id }] });
  expect((await callAs(page, authorization, { name: "experiments.list" })).value).toMatchObject({
    offSince: home.now,
  });
  for (const requestId of ["r8", "r9"]) await run("experiments.allow", {}, requestId);
  const entries = audit.listNewest(home.runtime, 20).filter(({ actor }) => actor === "live page");
  expect(entries.map(({ kind, subject }) => [kind, subject])).toEqual([
    ["experiments.allowed", ""],
    ["experiment.stopped", id],
    ["experiments.off", ""],
    ["experiment.reverted", kept],
    ["experiment.stopped", running],
  ]);
});
