import { expect, it } from "vitest";
import * as totals from "#src/store/metric-totals.ts";
import { programSamples } from "#src/runner/supervisor/supervisor-state.ts";
import { SupervisorSettings } from "#src/runner/supervisor/supervisor-settings.ts";
import { SupervisorRig } from "#harness/supervisor/supervisor-rig.ts";

const watch = { job: { kind: "worker", args: ["--job"] } };

function restartsOf({ runtime }: SupervisorRig): Record<string, number> {
  const rows = runtime.store.read((sql) => totals.list(sql), []);
  const own = rows.filter(({ name }) => name === "shim_supervisor_restarts_total");
  return Object.fromEntries(own.map(({ labels, value }) => [(JSON.parse(labels) as string[]).join(), value]));
}

function phasesOf(rig: SupervisorRig, isSupervised: boolean, settings: object = { watch }): (string | undefined)[] {
  const samples = programSamples(SupervisorSettings.parse(settings), rig.state, rig.runtime.now(), isSupervised);
  return samples.map(({ labels }) => labels["phase"]);
}

it("a first start is no restart; later ones count by what ended the run before", async () => {
  const rig = new SupervisorRig({ watch, restarts: { loopCrashes: 3 } });
  await rig.begin();
  expect([restartsOf(rig), phasesOf(rig, true)]).toEqual([{}, ["running"]]);
  await rig.end(1);
  expect([restartsOf(rig), phasesOf(rig, true)]).toEqual([{}, ["waiting"]]);
  await rig.pass(60_000);
  expect([restartsOf(rig), phasesOf(rig, true)]).toEqual([{ crashed: 1 }, ["running"]]);
  for (let n = 0; n < 2; n++) {
    await rig.end(1);
    await rig.pass(60_000);
  }
  expect([restartsOf(rig), phasesOf(rig, true)]).toEqual([{ crashed: 2 }, ["looping"]]);
  rig.state.requestRestart("job");
  await rig.pass(10_000);
  expect([restartsOf(rig), phasesOf(rig, true)]).toEqual([{ crashed: 2, asked: 1 }, ["running"]]);
  rig.stop();
  await rig.over();
  expect(phasesOf(rig, false)).toEqual(["unwatched"]);
});

it("what started with an earlier supervisor counts as left", async () => {
  const rig = new SupervisorRig({ watch });
  await rig.begin();
  rig.stop();
  await rig.over();
  const again = new SupervisorRig({ watch }, { paths: rig.runtime.paths });
  await again.begin();
  expect(restartsOf(again)).toEqual({ left: 1 });
});

it("programs of earlier settings are not counted", async () => {
  const rig = new SupervisorRig({ watch, restarts: { loopCrashes: 2 } });
  await rig.begin();
  await rig.end(1);
  await rig.pass(60_000);
  await rig.end(1);
  expect(phasesOf(rig, true)).toEqual(["looping"]);
  expect(phasesOf(rig, true, { watch: { other: watch.job } })).toEqual(["waiting"]);
  expect(phasesOf(rig, true, { watch: { job: { kind: "worker", args: ["--anew"] } } })).toEqual(["waiting"]);
  expect(phasesOf(rig, true, { watch: { chats: { kind: "sessions" } } })).toEqual([]);
});
