import type { Route } from "#src/contract/model-routes.ts";
import type { Self } from "#src/contract/values.ts";
import { move } from "#src/learning/experiments/trials.ts";
import { endTrial, save, start } from "#src/machine/learning/machine-trials.ts";
import { storeRun } from "#src/machine/learning/review-schedule.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";
import { pastChats } from "#harness/experiments/past-chats.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import type { Paths } from "#src/platform/paths.ts";
import type { EdgeRuntime } from "#harness/edge/edge-runtime.ts";

/** On one machine: a chat works, dies, and another one continues it. */
export function workAndDie(paths: Paths): void {
  const runtime = tempRuntime({ paths, now: Date.now() });
  const dead = new Claude(runtime, { cwd: aProject() });
  dead.start();
  dead.turn("Write the parser");
  dead.say("I begin with the tokens.");
  dead.write(`${dead.cwd}/parser.ts`, "export {};");
  dead.fail("Bash", { command: "npm test" }, "one test failed");
  runtime.wait(10_000);
  dead.transcribe(anAssistantLine({ content: [{ type: "text", text: "The tests are next." }] }));
  dead.use("Bash", { command: "npm test" });
  dead.kill();
  runtime.wait(60_000);
  const next = new Claude(runtime, { cwd: dead.cwd, pid: 2_000, session: "30487890-04b4-4fe0-bbd5-6aa531354563" });
  next.start();
  next.turn("Continue");
  // The observations of this process that no later event would store.
  runtime.store.write((sql) => runtime.durations.store(sql));
  runtime.store.close();
}

/** On one machine: a trial is running, a kept value was taken back, and one opportunity was found. */
export function experiment(paths: Paths): void {
  const runtime = tempRuntime({ paths, now: Date.now() });
  pastChats(runtime);
  const kept = begin("checkpoint.everyToolCalls", 8);
  runtime.store.write((sql) => save(sql, move(kept, "kept", runtime.now(), "after 40 sessions")));
  endTrial(runtime, kept.id, true, "reverted by hand", "command line");
  begin("checkpoint.everyMs", 250_000);
  runtime.store.write((sql) => storeRun(sql, runtime.now() + 86_400_000, ["large_store"]));
  runtime.store.close();

  function begin(key: string, to: number) {
    const started = start(runtime, { key, to, reason: "deaths lose ten calls", replay: null }, "kaizen");
    if (!started.ok) throw new Error(started.error.code);
    return started.value;
  }
}

const route: Route = {
  tier: "small",
  model: "claude-haiku-4-5",
  effort: null,
  band: "usual",
  reason: "chosen",
  isCounted: true,
};

/** Two chats do tasks with every outcome, hold leases, lead, send, and share state. */
export async function workAsTeam(edge: EdgeRuntime): Promise<void> {
  const [a, b] = [await edge.register("a"), await edge.register("b")];
  await edge.call("settings.set", { settings: { budgets: { day: { tokens: 10_000 } } } });
  await edge.call("leases.acquire", { self: a, resource: "deploy", requestId: "r1", ttlMs: 600_000 });
  await edge.call("leases.acquire", { self: b, resource: "deploy", requestId: "r2", waitMs: 600_000 });
  await edge.call("elections.campaign", { self: a, name: "deployer", requestId: "e1" });
  await edge.call("state.set", { key: "k", value: 1 });
  await edge.call("messages.send", { self: a, target: { to: "all" }, body: "begun" });
  const { tasks } = await edge.call("tasks.submit", { tasks: Array.from({ length: 5 }, () => ({ type: "build" })) });
  const [first] = tasks;
  await edge.call("tasks.submit", { tasks: [{ type: "test", dependsOn: [tasks[4]?.task ?? 0] }] });
  await edge.call("tasks.submit", { tasks: [{ type: "later", delayMs: 600_000 }] });
  const held = await claim(edge, a, "q1", 2);
  for (const task of held)
    await edge.call("tasks.ack", { self: a, ...task, result: 1, usage: { tokens: 500, costMicros: 20_000 }, route });
  const [broken] = await claim(edge, b, "q2", 1);
  if (!broken || !first) throw new Error("nothing was claimed");
  await edge.call("tasks.nack", { self: b, ...broken, reason: "broken", isRetryable: false });
  await edge.call("tasks.replay", { task: broken.task });
  const [again] = await claim(edge, b, "q3", 1);
  if (!again) throw new Error("nothing was claimed again");
  await edge.call("tasks.nack", { self: b, ...again, reason: "broken", isRetryable: false });
  const queued = tasks.find(({ task }) => ![...held, broken, again].some((one) => one.task === task));
  await edge.call("tasks.cancel", { task: queued?.task ?? 0, reason: "not needed" });
  await edge.call("chats.heartbeat", { self: b, status: "busy" });
}

async function claim(
  edge: EdgeRuntime,
  self: Self,
  requestId: string,
  limit: number,
): Promise<{ task: number; claim: number }[]> {
  const { claims } = await edge.call("tasks.claim", { self, requestId, limit, types: ["build"] });
  return claims.map(({ task, claim }) => ({ task, claim }));
}
