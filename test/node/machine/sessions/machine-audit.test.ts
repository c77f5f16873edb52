import { expect, it } from "vitest";
import { append, listNewest } from "#src/machine/sessions/machine-audit.ts";
import { start } from "#src/machine/learning/machine-trials.ts";
import { pastChats } from "#harness/experiments/past-chats.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const trial = { key: "checkpoint.everyToolCalls", to: 8, reason: "to see", replay: null };

function entries(runtime: TempRuntime): (readonly [kind: string, actor: string | null, result: unknown])[] {
  return listNewest(runtime, 50).map(({ kind, actor, detail }) => [kind, actor, (detail as { result: string }).result]);
}

it("an entry is there when its decision is, with its time, also for another process", () => {
  const runtime = tempRuntime();
  pastChats(runtime);
  const started = start(runtime, trial, "live page");
  if (!started.ok) throw new Error(started.error.code);
  const stopped = { kind: "experiment.stopped", experiment: started.value.id, session: null } as const;
  // The process dies after the commit: nothing follows.
  runtime.store.write((sql) => append(sql, runtime.now(), { ...stopped, by: "command line", result: "done" }));
  runtime.wait(60_000);
  const next = tempRuntime({ beside: runtime });
  expect(listNewest(next, 5)).toMatchObject([
    { kind: "experiment.stopped", subject: started.value.id, actor: "command line", ageMs: 60_000 },
    { kind: "experiment.started", subject: started.value.id, actor: "live page", ageMs: 60_000 },
  ]);
});

it("a decision that is not committed leaves no entry", () => {
  const runtime = tempRuntime();
  const failing = (): void =>
    runtime.store.write((sql) => {
      append(sql, runtime.now(), { kind: "experiments.off", session: null, by: "kaizen", result: "done" });
      throw new Error("the process dies");
    });
  expect(failing).toThrow("dies");
  expect(entries(runtime)).toEqual([]);
});
