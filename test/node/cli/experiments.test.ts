import { expect, it } from "vitest";
import { pastChats, recordedChats, seedExperiments } from "#harness/experiments/histories.ts";
import { aSeededHome, failed, holding, printed } from "#harness/machine/cli-home.ts";

it("an experiment is started, listed, shown, stopped once, and another takes its place", async () => {
  const home = aSeededHome();
  const none = "No experiment yet. `shim report` says what to try.\n";
  expect(await home.shim("experiment list")).toMatchObject({ code: 0, out: none });
  const early = failed(1, "an answer needs about 20 recorded chats, and there are");
  expect(await home.shim("experiment start checkpoint.everyToolCalls 8")).toMatchObject(early);
  pastChats(home.runtime);
  recordedChats(home.runtime);
  const idle = failed(1, "would have changed nothing in any of", "no trial can show a benefit");
  expect(await home.shim("experiment start risk.thresholds.memory 0.7")).toMatchObject(idle);
  const begun = await home.shim("experiment start checkpoint.everyToolCalls 8 --reason", "to see");
  const id = /^exp_[\da-f]{8}(?=: canary\. harm is watched for in 400 new chats, at your pace 4 weeks more)/.exec(
    begun.out,
  )?.[0];
  if (id === undefined) throw new Error(begun.out + begun.err);
  home.now += 60_000;
  const row = `\n${id}  checkpoint.everyToolCalls: 10 -> 8  canary  0         60 s ago\n`;
  expect((await home.shim("experiment list")).out).toEqual(holding(/^ID +SETTING +STATE +SESSIONS +SINCE\n/, row));
  const when = new Date(home.now - 60_000).toISOString().slice(0, 16);
  const head = `${id}: checkpoint.everyToolCalls from 10 to 8, canary\nWhy: to see\n`;
  const sessions = "Sessions: 0 with the new value, 0 without.\n";
  const steps = [
    `\n  ${when}  proposed: to see\n`,
    `\n  ${when}  replayed: better in 3`,
    `\n  ${when}  canary: harm is`,
  ];
  expect(await home.shim("experiment show", id.slice(4))).toMatchObject(printed(head + sessions.trim(), ...steps));
  const second = "experiment start checkpoint.everyToolCalls 7";
  expect(await home.shim(second)).toMatchObject(failed(1, id, "Stop it first"));
  expect((await home.shim("experiment stop", id.slice(0, 8))).out).toBe(`${id}: stopped. stopped by hand\n`);
  expect(await home.shim("experiment stop", id)).toMatchObject(failed(1, `${id} has ended: stopped.`));
  expect(await home.shim(second)).toMatchObject(printed(/^exp_\w+: canary\. /));
  const { experiments } = (await home.json("experiment list")) as { experiments: { id: string; state: string }[] };
  expect(experiments.map(({ state }) => state)).toEqual(["stopped", "canary"]);
  expect(await home.shim("experiment show exp_")).toMatchObject(failed(2, `${id}  checkpoint.everyToolCalls: 8`));
});

it("a value with which more would be lost is decided by the recorded chats, and the report does not advise what has an answer", async () => {
  const home = aSeededHome();
  pastChats(home.runtime);
  recordedChats(home.runtime);
  const advice = "`shim config set checkpoint.everyToolCalls 7` sets it.";
  expect((await home.shim("report")).out).toContain(advice);
  const worse = printed(/^exp_\w+: decided: worse\. worse in 3\d recorded chats: \+1\.\d\d .*no benefit was measured/);
  expect(await home.shim("experiment start checkpoint.everyToolCalls 13")).toMatchObject(worse);
  const { id } = await home.json("experiment start checkpoint.everyToolCalls 7");
  await home.shim("experiment stop", String(id));
  const { out } = await home.shim("report");
  expect(out).not.toContain(advice);
  expect(out).toContain("`checkpoint.everyToolCalls` 10 -> 13: decided (worse in 3");
  // A verdict is said once.
  expect(out.match(/worse in 3/g)).toHaveLength(1);
});

it("all are stopped at once, and no review starts another; a person may", async () => {
  const home = aSeededHome();
  const { running, ended } = seedExperiments(home.runtime);
  for (const args of ["", `${running} --all`])
    expect(await home.shim(`experiment stop ${args}`)).toMatchObject(failed(2, "name an experiment, or --all."));
  for (const command of ["stop", "show"])
    expect(await home.shim(`experiment ${command} exp_none`)).toMatchObject(failed(3, "`shim experiment list`"));
  const stopped = `${running}: stopped. stopped by hand, with all\n`;
  const none = "1 experiment stopped. No review starts one until `shim config set kaizen apply`.\n";
  expect((await home.shim("experiment stop --all")).out).toBe(stopped + none);
  expect(await home.shim("experiment list")).toMatchObject(printed(running, `${ended}  `));
  recordedChats(home.runtime);
  const again = "experiment start checkpoint.everyToolCalls 7";
  expect((await home.shim("experiment stop --all")).out).toBe(none.replace("1 experiment", "0 experiments"));
  expect(await home.shim(again)).toMatchObject(printed("canary"));
  expect(await home.shim("experiment stop", ended)).toMatchObject(failed(1, `${ended} has ended: deployed.`));
});
