import { join } from "node:path";
import { expect, it } from "vitest";
import { definitionOf, metrics, type MetricName, type Sample } from "#src/contract/metrics.ts";
import { forget } from "#src/machine/view/keeping/forget.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { machineMetrics } from "#src/machine/view/machine-metrics.ts";
import { prune } from "#src/machine/view/keeping/retention.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

type Values = (name: MetricName, labels?: Record<string, string>) => number | undefined;

function sampled(runtime: TempRuntime): Values {
  const samples = machineMetrics(runtime);
  return (name, labels = {}) => {
    const isWanted = (one: Sample) => Object.entries(labels).every(([label, value]) => one.labels[label] === value);
    const own = samples.filter((one) => one.name === name && isWanted(one));
    return own.length === 0 ? undefined : own.reduce((sum, { value }) => sum + value, 0);
  };
}

const names = (Object.keys(metrics) as MetricName[]).filter((name) => definitionOf(name).source === "machine");

/** Two chats of one project: one has died after a tool call, the other has just been offered its work. */
function aDeath(runtime: TempRuntime): Claude {
  const dead = aLiveChat(runtime);
  dead.prompt("Write the parser");
  dead.write(join(dead.cwd, "parser.ts"), "export {};");
  dead.kill();
  runtime.wait(60_000);
  const next = new Claude(runtime, { cwd: dead.cwd, pid: 2_000, session: "30487890-04b4-4fe0-bbd5-6aa531354563" });
  next.start();
  return next;
}

it("a machine on which nothing has happened has every metric, all 0, and no file", () => {
  const runtime = tempRuntime();
  const samples = machineMetrics(runtime);
  expect([...new Set(samples.map(({ name }) => name))].toSorted()).toEqual(names.toSorted());
  expect(samples.every(({ value }) => value === 0)).toBe(true);
  expect(runtime.store.exists()).toBe(false);
});

it("a death and its offer are counted once, with cause, client and score", () => {
  const runtime = tempRuntime();
  const living = aDeath(runtime);
  const value = sampled(runtime);
  expect(value("shim_deaths_total", { cause: "killed", client: "claude-code" })).toBe(1);
  expect(value("shim_recoveries_total", { action: "offered" })).toBe(1);
  expect(value("shim_restore_score_ratio")).toBe(1);
  expect(value("shim_recovery_duration_seconds")).toBe(0);
  runtime.wait(30_000);
  const later = sampled(runtime);
  expect([later("shim_sessions"), later("shim_unsaved_age_seconds")]).toEqual([1, 30]);
  living.kill();
  expect(sampled(runtime)("shim_sessions")).toBe(0);
});

function aLiveChat(runtime: TempRuntime): Claude {
  const chat = new Claude(runtime, { cwd: aProject() });
  chat.start();
  return chat;
}

it("saves and hook events are observed, and stored later", () => {
  const runtime = tempRuntime();
  const chat = aLiveChat(runtime);
  chat.turn("Write the parser");
  runtime.durations.store(runtime.store);
  const value = sampled(runtime);
  expect(value("shim_hook_duration_seconds", { event: "UserPromptSubmit" })).toBeGreaterThan(0);
  expect(value("shim_save_duration_seconds")).toBeGreaterThan(0);
});

it("an unchanged state is no save", () => {
  const runtime = tempRuntime();
  const chat = aLiveChat(runtime);
  chat.prompt("Write the parser");
  for (let n = 0; n < 3; n++) capture(runtime, { sessionId: chat.session, trigger: "on_demand" });
  runtime.durations.store(runtime.store);
  const value = sampled(runtime);
  expect(value("shim_checkpoints_total", { trigger: "on_demand" })).toBe(1);
  expect(value("shim_save_duration_seconds")).toBe(1);
  expect(value("shim_checkpoint_bytes_total")).toBeGreaterThan(100);
});

it("counters do not fall when sessions are forgotten or pruned", () => {
  const runtime = tempRuntime();
  const chat = aDeath(runtime);
  chat.prompt("Continue");
  chat.use("Bash", { command: "true" });
  chat.end();
  const before = sampled(runtime);
  runtime.store.write((sql) => forget(sql, { session: chat.session }));
  runtime.wait(2_000 * 86_400_000);
  runtime.store.write((sql) => prune(sql, runtime.now(), runtime.config.retention, 10_000));
  const after = sampled(runtime);
  const counters = names.filter((name) => definitionOf(name).type === "counter");
  expect(counters.map((name) => [name, after(name)])).toEqual(counters.map((name) => [name, before(name)]));
  expect(after("shim_tool_calls_total")).toBeGreaterThan(1);
});
