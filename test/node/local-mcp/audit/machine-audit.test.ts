import { rmSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { enqueue, listNewest } from "#src/local-mcp/audit/machine-audit.ts";
import { decideEnd, decideStart } from "#src/local-mcp/experiments/decisions.ts";
import { advanceAll, start, stopOne } from "#src/local-mcp/experiments/experiments.ts";
import { pastChats } from "#harness/experiments/past-chats.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const trial = { key: "checkpoint.everyToolCalls", to: 8, reason: "to see", replay: null };

function entries(runtime: TempRuntime): (readonly [kind: string, actor: string | null, result: unknown])[] {
  return listNewest(runtime, 50).map(({ kind, actor, detail }) => [kind, actor, (detail as { result: string }).result]);
}

it("[EX77] an entry is there when its decision is, with its time, also for another process", () => {
  const runtime = tempRuntime();
  pastChats(runtime);
  // The process dies after the commit: nothing follows.
  const started = start(runtime, trial, "live page");
  if (!started.ok) throw new Error(started.error.code);
  stopOne(runtime, started.value.id, "enough", false, "command line");
  runtime.wait(60_000);
  const next = tempRuntime({ beside: runtime });
  expect(listNewest(next, 5)).toMatchObject([
    { kind: "experiment.stopped", subject: started.value.id, actor: "command line", ageMs: 60_000 },
    { kind: "experiment.started", subject: started.value.id, actor: "live page", ageMs: 60_000 },
  ]);
  advanceAll(runtime);
  expect(listNewest(next, 5)).toHaveLength(2);
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

it("[EX58] a decision whose file is written at once is one entry; one that waits for the next process is two", () => {
  const runtime = tempRuntime();
  pastChats(runtime);
  const started = decideStart(runtime, "kaizen", trial);
  if (!started.ok) throw new Error(started.error.code);
  const { id } = started.value;
  deploy(runtime, id);
  expect(entries(runtime)[0]).toEqual(["experiment.moved", "kaizen", "deployed"]);
  writeFileSync(runtime.paths.config, "{ broken");
  expect(decideEnd(runtime, "command line", id, false)?.state).toBe("rolling_back");
  expect(entries(runtime)[0]).toEqual(["experiment.stopped", "command line", "rolling_back"]);
  rmSync(runtime.paths.config);
  advanceAll(runtime);
  expect(entries(runtime).map(([kind, actor, result]) => `${kind} ${actor ?? ""} ${String(result)}`)).toEqual([
    "experiment.moved kaizen rolled_back",
    "experiment.stopped command line rolling_back",
    "experiment.moved kaizen deployed",
    "experiment.started kaizen done",
  ]);
});

/** As after a canary that was better. */
function deploy(runtime: TempRuntime, id: string): void {
  runtime.store.write((sql) => {
    sql.run(
      "UPDATE experiments SET state = 'deploying', body = json_set(body, '$.state', 'deploying') WHERE id = ?",
      id,
    );
    const action = {
      kind: "experiment.moved",
      session: null,
      experiment: id,
      by: "kaizen",
      result: "deploying",
    } as const;
    enqueue(sql, runtime.now(), action);
  });
  advanceAll(runtime);
}
