import { aProject, Claude, rowCount } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { column } from "#harness/store/store-rows.ts";
import { expect, it } from "vitest";
import { answerHook, drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { append } from "#src/store/spool.ts";
import { saveLastCheckpoint } from "#src/machine/operations/recovery-handlers.ts";
import { storeDurations } from "#src/runtime/durations.ts";
import type { HookEvent } from "#src/contract/hook-input.ts";

function hook(machine: TempRuntime, chat: Claude, event: HookEvent, fields: object = {}): void {
  machine.wait(20);
  answerHook(machine, event, () => JSON.stringify(chat.input(event, { ...fields })), chat.pid);
}

function turn(machine: TempRuntime, chat: Claude, prompt: string): void {
  hook(machine, chat, "UserPromptSubmit", { prompt });
  hook(machine, chat, "Stop", { stop_hook_active: false, last_assistant_message: `Done: ${prompt}` });
}

function timedSaves(machine: TempRuntime): number {
  const query = "SELECT coalesce(sum(count), 0) AS n FROM session_durations WHERE name = 'shim_save_duration_seconds'";
  return Number(machine.store.read((sql) => column(sql, query), [])[0]);
}

it("each save of a hook event is timed, so those of a chat are all of its saves", () => {
  const machine = tempRuntime();
  const chat = new Claude(machine, { cwd: aProject() });
  hook(machine, chat, "SessionStart", { source: "startup" });
  for (const prompt of ["Write the parser", "Write its tests", "Run them"]) turn(machine, chat, prompt);
  storeDurations(machine);
  expect(rowCount(machine, "checkpoints")).toBe(3);
  expect(timedSaves(machine)).toBe(3);
});

it("the last save of a dead chat is timed by the process that makes it", async () => {
  const machine = tempRuntime();
  const chat = new Claude(machine, { cwd: aProject() });
  hook(machine, chat, "SessionStart", { source: "startup" });
  hook(machine, chat, "UserPromptSubmit", { prompt: "Write the parser" });
  chat.kill();
  const supervisor = tempRuntime({ beside: machine });
  expect(await saveLastCheckpoint(supervisor, chat.session)).not.toBeNull();
  expect(timedSaves(machine)).toBe(1);
});

it("a store that another process holds costs the durations, and nothing else", () => {
  const machine = tempRuntime();
  new Claude(machine, { cwd: aProject() }).start();
  const writer = machine.store.connection();
  writer.run("BEGIN IMMEDIATE");
  const runtime = tempRuntime({ beside: machine, busyMs: 10 });
  runtime.durations.observe("shim_hook_duration_seconds", 1, ["Stop"]);
  storeDurations(runtime);
  writer.run("COMMIT");
  expect(runtime.logged.join()).toContain("durations were not stored");
});

it("an event from the spool has no duration: no client waits for its answer", () => {
  const machine = tempRuntime();
  const chat = new Claude(machine, { cwd: aProject() });
  chat.start();
  const input = chat.input("UserPromptSubmit", { prompt: "Write the parser" });
  append(machine.paths.spool, { at: machine.now(), event: "UserPromptSubmit", clientPid: chat.pid, input });
  machine.wait(3_600_000);
  drainInto(machine);
  machine.store.write((sql) => machine.durations.store(sql));
  const sums = machine.store.read((sql) => column(sql, "SELECT sum FROM metric_totals WHERE name LIKE '%hook%'"), []);
  expect(Math.max(...sums.map(Number))).toBeLessThan(3_600);
});
