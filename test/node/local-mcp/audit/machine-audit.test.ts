import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { expect, it } from "vitest";
import { enqueue, flush, listNewest } from "#src/local-mcp/audit/machine-audit.ts";
import { endTrial, setOff, start } from "#src/local-mcp/experiments/machine-trials.ts";
import { createPrivateFolder } from "#src/platform/private-files.ts";
import * as meta from "#src/store/meta.ts";
import { pastChats } from "#harness/experiments/past-chats.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const trial = { key: "checkpoint.everyToolCalls", to: 8, reason: "to see", replay: null };

function entries(runtime: TempRuntime): (readonly [kind: string, actor: string | null, result: unknown])[] {
  return listNewest(runtime, 50).map(({ kind, actor, detail }) => [kind, actor, (detail as { result: string }).result]);
}

function outbox(runtime: TempRuntime): string {
  return runtime.store.read((sql) => meta.read(sql, "audit_outbox"), null) ?? "";
}

it("[EX77] an entry that its process could not write any more is written by another, with the time of the decision", () => {
  const runtime = tempRuntime();
  pastChats(runtime);
  const started = start(runtime, trial, "live page");
  if (!started.ok) throw new Error(started.error.code);
  const stopped = { kind: "experiment.stopped", experiment: started.value.id, session: null } as const;
  // The process dies after the commit: nothing follows.
  runtime.store.write((sql) => enqueue(sql, runtime.now(), { ...stopped, by: "command line", result: "done" }));
  runtime.wait(60_000);
  const next = tempRuntime({ beside: runtime });
  expect(listNewest(next, 5)).toMatchObject([
    { kind: "experiment.stopped", subject: started.value.id, actor: "command line", ageMs: 60_000 },
    { kind: "experiment.started", subject: started.value.id, actor: "live page", ageMs: 60_000 },
  ]);
  flush(runtime);
  expect(listNewest(next, 5)).toHaveLength(2);
});

it("[EX77] a process that dies between the file and its commit leaves no entry twice", () => {
  const runtime = tempRuntime();
  setOff(runtime, runtime.now(), "command line");
  const text = readFileSync(runtime.paths.audit, "utf8");
  const pending = { id: (JSON.parse(text) as { id: string }).id, at: runtime.now() };
  const action = { kind: "experiments.off", session: null, by: "command line", result: "done" };
  runtime.store.write((sql) => {
    meta.write(sql, "audit_outbox", JSON.stringify({ next: 2, pending: [{ ...pending, action }] }));
    enqueue(sql, runtime.now(), { kind: "experiments.allowed", session: null, by: "kaizen", result: "done" });
  });
  flush(runtime);
  expect(entries(runtime)).toEqual([
    ["experiments.allowed", "kaizen", "done"],
    ["experiments.off", "command line", "done"],
  ]);
});

it("[EX77] a decision that is not committed leaves no entry", () => {
  const runtime = tempRuntime();
  const failing = (): void =>
    runtime.store.write((sql) => {
      enqueue(sql, runtime.now(), { kind: "experiments.off", session: null, by: "kaizen", result: "done" });
      throw new Error("the process dies");
    });
  expect(failing).toThrow("dies");
  expect(entries(runtime)).toEqual([]);
});

it("[EX77] while the file cannot be written decisions are made, and their entries follow", () => {
  const runtime = tempRuntime();
  createPrivateFolder(runtime.paths.home);
  mkdirSync(runtime.paths.audit);
  pastChats(runtime);
  const started = start(runtime, trial, "kaizen");
  if (!started.ok) throw new Error(started.error.code);
  setOff(runtime, runtime.now(), "command line");
  expect(endTrial(runtime, started.value.id, false, "by hand", "command line")?.ok).toBe(true);
  expect(runtime.logged.join()).toContain("entries of the audit log are pending");
  for (let round = 0; round < 600; round++) setOff(runtime, null, "live page");
  expect(outbox(runtime).length).toBeLessThan(100_000);
  rmdirSync(runtime.paths.audit);
  expect(entries(runtime)).toEqual([
    ["experiments.allowed", "live page", "done"],
    ["experiment.stopped", "command line", "done"],
    ["experiments.off", "command line", "done"],
    ["experiment.started", "kaizen", "done"],
  ]);
});
