import { expect, it } from "vitest";
import type { MachineTrial } from "#src/contract/trials.ts";
import type { SentUnit } from "#src/machine/learning/assignment-service.ts";
import { markSent, sendCounted } from "#src/machine/learning/machine-trials.ts";
import { recordSettings } from "#src/machine/sessions/session-settings.ts";
import { forget } from "#src/machine/keeping/forget.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { pastChats } from "#harness/experiments/past-chats.ts";
import { endByHand, reload, startTrial, stopAll } from "#harness/experiments/trials.ts";
import { aServiceRuntime, type ServiceRuntime } from "#harness/experiments/service-rig.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const key = "checkpoint.everyMs";
const sentWell = "answer({ arms: [], problems: [] });";

function send(runtime: TempRuntime): void {
  void sendCounted(runtime, (experiment, sent) => markSent(runtime, experiment, sent));
}

function started(runtime: TempRuntime): MachineTrial {
  pastChats(runtime);
  return startTrial(runtime, key, 250_000);
}

let count = 0;

/** A session that has ended, with this arm as the service's answer. @returns its id */
function aSession(runtime: TempRuntime, experiment: MachineTrial, arm: string): string {
  const id = `${String((count += 1)).padStart(8, "0")}-04b4-4fe0-bbd5-6aa531354563`;
  runtime.wait(1_000);
  runtime.store.write((sql) => {
    const now = runtime.now();
    sessions.recordSighting(sql, now, { id, client: "claude-code", origin: "startup", owner: null, isAlive: true });
    const answered = { session: id, arms: { [experiment.id]: arm } };
    recordSettings(sql, now, id, runtime.config, { model: null }, answered);
    sessions.update(sql, id, { toolCalls: 30, toolErrors: 3 });
    sessions.end(sql, now, id, "other");
  });
  return id;
}

function sentUnits(runtime: ServiceRuntime): (readonly SentUnit[])[] {
  return runtime.requests().map(({ work }) => (work.kind === "send" && work.name === key ? work.units : []));
}

it("a review sends each counted session once, hashed, with its outcomes as numbers @night", () => {
  const runtime = aServiceRuntime({ provider: "statsig" });
  runtime.serve(sentWell);
  const experiment = started(runtime);
  const chats = ["control", "treatment", "control"].map((arm) => aSession(runtime, experiment, arm));
  for (let review = 0; review < 2; review++) send(runtime);
  const unit = expect.stringMatching(/^[0-9a-f]{32}$/);
  const measured = { unsavedDeath: 0, toolErrors: 0.1 };
  expect(sentUnits(runtime)).toEqual([Array.from({ length: 3 }, () => ({ unit, measured }))]);
  expect(chats.filter((id) => JSON.stringify(runtime.requests()).includes(id))).toEqual([]);
  aSession(runtime, experiment, "treatment");
  send(runtime);
  expect(sentUnits(runtime).at(-1)).toEqual([{ unit, measured }]);
});

it("what could not be sent is logged, and sent by the next review; forgotten sessions are not @night", () => {
  const runtime = aServiceRuntime({ provider: "statsig" });
  runtime.serve(`answer({ arms: [], problems: ["no network"] });`);
  const experiment = started(runtime);
  const [forgotten = ""] = ["control", "treatment"].map((arm) => aSession(runtime, experiment, arm));
  send(runtime);
  expect(runtime.logged.join()).toContain("no network");
  runtime.store.write((sql) => forget(sql, { session: forgotten }));
  runtime.serve(sentWell);
  for (let review = 0; review < 2; review++) send(runtime);
  expect(sentUnits(runtime).map(({ length }) => length)).toEqual([2, 1]);
});

it("nothing is sent while experiments are off, of one that a person stopped, and of one of another service @night", () => {
  const runtime = aServiceRuntime({ provider: "statsig" });
  const one = started(runtime);
  aSession(runtime, one, "control");
  const local = aServiceRuntime({}, runtime);
  send(local);
  expect(local.requests()).toEqual([]);
  endByHand(runtime, one.id);
  send(runtime);
  const next = started(runtime);
  aSession(runtime, next, "control");
  stopAll(runtime);
  send(runtime);
  expect(runtime.requests()).toEqual([]);
});

it("the position of what was sent is no change of the experiment for others @night", () => {
  const runtime = aServiceRuntime({ provider: "statsig" });
  runtime.serve(sentWell);
  const experiment = started(runtime);
  aSession(runtime, experiment, "control");
  send(runtime);
  expect(reload(runtime, experiment)).toMatchObject({ state: "canary", sent: 1, read: 0 });
  const local = tempRuntime();
  started(local);
  send(local);
  expect(local.logged).toEqual([]);
});
