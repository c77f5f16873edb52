import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { capture } from "../../../src/local-mcp/checkpoints/capture.ts";
import type { Trigger } from "../../../src/local-mcp/checkpoints/checkpoints.ts";
import { systemProcesses } from "../../../src/platform/processes.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import * as sessions from "../../../src/local-mcp/sessions/sessions.ts";
import { takeAwaited, takePending } from "../../../src/snapshots/pending-snapshots.ts";
import { restoreFiles } from "../../../src/snapshots/restore-files.ts";
import { dropMarked } from "../../../src/snapshots/stored-snapshots.ts";
import { forget } from "../../../src/local-mcp/retention/forget.ts";
import { GIT_ENV, makeProject, write, type GitProject } from "../../support/git-project.ts";
import { tempRuntime, type TempRuntime } from "../../support/temp-runtime.ts";

interface Desk {
  readonly from: GitProject;
  readonly runtime: Runtime;
  readonly clock: TempRuntime["clock"];
  readonly never: AbortSignal;
}

function aDesk(files: Record<string, string> = { "a.txt": "one\n" }): Desk {
  const from = makeProject(files);
  const temp = tempRuntime({ env: GIT_ENV });
  const runtime = { ...temp, processes: systemProcesses };
  runtime.store.write((sql) =>
    sessions.recordSighting(sql, temp.now(), {
      id: "s1",
      client: "test",
      origin: "handle",
      project: from.project,
      owner: null,
      isAlive: true,
    }),
  );
  return { from, runtime, clock: temp.clock, never: new AbortController().signal };
}

function save(desk: Desk, nextStep: string, trigger: Trigger = "on_demand"): string {
  const saved = capture(desk.runtime, { sessionId: "s1", trigger, notes: { nextStep } });
  if (!saved.ok) throw new Error(saved.error.code);
  return saved.value.checkpoint.id;
}

interface Row {
  readonly state: string;
  readonly reason: string | null;
  readonly repository: string | null;
  readonly commit_id: string | null;
}

function rowOf(desk: Desk, id: string): Row | undefined {
  return desk.runtime.store.read(
    (sql) => sql.all<Row>("SELECT * FROM snapshots WHERE checkpoint_id = ?", id)[0],
    undefined,
  );
}

it("[GS20] the files of a checkpoint are taken after its answer and can be put back", async () => {
  const desk = aDesk();
  write(desk.from.project, { "new.txt": "not committed\n" });
  const id = save(desk, "go on");
  expect(rowOf(desk, id)?.state).toBe("pending");
  await takePending(desk.runtime, ["s1"], desk.never);
  const row = rowOf(desk, id);
  expect(row).toMatchObject({ state: "done", reason: null });
  const into = join(desk.from.root, "back");
  const restored = await restoreFiles({
    env: GIT_ENV,
    processes: systemProcesses,
    repository: row?.repository ?? "",
    commit: row?.commit_id ?? "",
    into,
    now: desk.clock.now,
    timeoutMs: 60_000,
  });
  expect(restored.ok).toBe(true);
  expect(readFileSync(join(into, "new.txt"), "utf8")).toBe("not committed\n");
});

it("[GS20] of several checkpoints that wait only the newest is taken, and other sessions are left alone", async () => {
  const desk = aDesk();
  const first = save(desk, "one");
  const second = save(desk, "two");
  await takePending(desk.runtime, ["another session"], desk.never);
  expect([rowOf(desk, first)?.state, rowOf(desk, second)?.state]).toEqual(["skipped", "pending"]);
  await takePending(desk.runtime, ["s1"], desk.never);
  expect([rowOf(desk, first)?.state, rowOf(desk, second)?.state]).toEqual(["skipped", "done"]);
});

it("[GS20] what is not taken within a minute is given up with its reason, never taken late", async () => {
  const desk = aDesk();
  const [running, pending] = [save(desk, "one"), save(desk, "two")];
  desk.runtime.store.write((sql) => sql.run("UPDATE snapshots SET state = 'running' WHERE checkpoint_id = ?", running));
  desk.clock.now += 59_000;
  await takePending(desk.runtime, [], desk.never);
  expect([rowOf(desk, running)?.state, rowOf(desk, pending)?.state]).toEqual(["running", "pending"]);
  desk.clock.now += 2_000;
  await takePending(desk.runtime, ["s1"], desk.never);
  for (const id of [running, pending]) {
    expect(rowOf(desk, id)).toMatchObject({
      state: "skipped",
      reason: "the process that should have saved the files had ended",
    });
  }
});

it("[GS20] a snapshot that fails keeps its reason; one that is stopped waits again", async () => {
  const desk = aDesk();
  const id = save(desk, "one");
  await takePending(desk.runtime, ["s1"], AbortSignal.abort());
  expect(rowOf(desk, id)?.state).toBe("pending");
  writeFileSync(desk.runtime.paths.snapshots, "a file where the folder should be");
  await takePending(desk.runtime, ["s1"], desk.never);
  expect(rowOf(desk, id)?.state).toBe("failed");
  expect(rowOf(desk, id)?.reason).toBeTruthy();
});

it("[GS21] before a risky tool its hook takes the files, and the timer of the MCP process does not", async () => {
  const desk = aDesk();
  const id = save(desk, "rm -rf build", "before_tool");
  await takePending(desk.runtime, ["s1"], desk.never);
  expect(rowOf(desk, id)?.state).toBe("pending");
  await takeAwaited(desk.runtime);
  expect(rowOf(desk, id)?.state).toBe("done");
});

it("[GS21] when the hook could not, the files are taken later all the same", async () => {
  const desk = aDesk();
  const id = save(desk, "rm -rf build", "before_tool");
  desk.clock.now += 13_000;
  await takeAwaited(desk.runtime);
  expect(rowOf(desk, id)?.state).toBe("pending");
  await takePending(desk.runtime, ["s1"], desk.never);
  expect(rowOf(desk, id)?.state).toBe("done");
});

it("[GS22] files of a checkpoint that was deleted meanwhile are dropped", async () => {
  const desk = aDesk();
  const id = save(desk, "one");
  const taking = takePending(desk.runtime, ["s1"], desk.never);
  desk.runtime.store.write((sql) => forget(sql, { checkpoint: id }));
  await taking;
  const row = rowOf(desk, id);
  expect(row?.state).toBe("drop");
  expect(existsSync(row?.repository ?? "")).toBe(true);
  expect(await dropMarked(desk.runtime, { maxGarbage: 0 })).toEqual({ dropped: 1, failures: [] });
  expect(rowOf(desk, id)).toBeUndefined();
  expect(existsSync(row?.repository ?? "")).toBe(false);
});
