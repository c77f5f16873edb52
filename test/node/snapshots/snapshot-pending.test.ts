import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { capture } from "#src/machine/checkpoints/capture.ts";
import type { Trigger } from "#src/contract/checkpoint.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { takeAwaited, takePending } from "#src/snapshots/stored-snapshots.ts";
import { restoreFiles } from "#src/snapshots/restore-files.ts";
import { dropMarked } from "#src/snapshots/stored-snapshots.ts";
import { forget } from "#src/machine/keeping/forget.ts";
import { GIT_ENV, makeProject, write, type GitProject } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

interface Rig {
  readonly from: GitProject;
  readonly runtime: Runtime;
  readonly clock: TempRuntime["clock"];
  readonly never: AbortSignal;
}

function aRig(files: Record<string, string> = { "a.txt": "one\n" }): Rig {
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

function save(rig: Rig, nextStep: string, trigger: Trigger = "on_demand"): string {
  const saved = capture(rig.runtime, { sessionId: "s1", trigger, notes: { nextStep } });
  if (!saved.ok) throw new Error(saved.error.code);
  return saved.value.checkpoint.id;
}

interface Row {
  readonly state: string;
  readonly reason: string | null;
  readonly repository: string | null;
  readonly commit: string | null;
}

function rowOf(rig: Rig, id: string): Row | undefined {
  return rig.runtime.store.read(
    (sql) => sql.all<Row>("SELECT * FROM snapshots WHERE checkpointId = ?", id)[0],
    undefined,
  );
}

it("the files of a checkpoint are taken after its answer and can be put back @night", async () => {
  const rig = aRig();
  write(rig.from.project, { "new.txt": "not committed\n" });
  const id = save(rig, "go on");
  expect(rowOf(rig, id)?.state).toBe("pending");
  await takePending(rig.runtime, ["s1"], rig.never);
  const row = rowOf(rig, id);
  expect(row).toMatchObject({ state: "done", reason: null });
  const into = join(rig.from.root, "back");
  const restored = await restoreFiles({
    env: GIT_ENV,
    processes: systemProcesses,
    repository: row?.repository ?? "",
    commit: row?.commit ?? "",
    into,
    timeoutMs: 60_000,
  });
  expect(restored.ok).toBe(true);
  expect(readFileSync(join(into, "new.txt"), "utf8")).toBe("not committed\n");
});

it("of several checkpoints that wait only the newest is taken, and other sessions are left alone @night", async () => {
  const rig = aRig();
  const first = save(rig, "one");
  const second = save(rig, "two");
  await takePending(rig.runtime, ["another session"], rig.never);
  expect([rowOf(rig, first)?.state, rowOf(rig, second)?.state]).toEqual(["skipped", "pending"]);
  await takePending(rig.runtime, ["s1"], rig.never);
  expect([rowOf(rig, first)?.state, rowOf(rig, second)?.state]).toEqual(["skipped", "done"]);
});

it("what is not taken within a minute is given up with its reason, never taken late", async () => {
  const rig = aRig();
  const [running, pending] = [save(rig, "one"), save(rig, "two")];
  rig.runtime.store.write((sql) => sql.run("UPDATE snapshots SET state = 'running' WHERE checkpointId = ?", running));
  rig.clock.now += 59_000;
  await takePending(rig.runtime, [], rig.never);
  expect([rowOf(rig, running)?.state, rowOf(rig, pending)?.state]).toEqual(["running", "pending"]);
  rig.clock.now += 2_000;
  await takePending(rig.runtime, ["s1"], rig.never);
  for (const id of [running, pending]) {
    expect(rowOf(rig, id)).toMatchObject({
      state: "skipped",
      reason: "the host had ended, or had no time to save the files within a minute",
    });
  }
});

it("a snapshot that fails keeps its reason; one that is stopped waits again", async () => {
  const rig = aRig();
  const id = save(rig, "one");
  await takePending(rig.runtime, ["s1"], AbortSignal.abort());
  expect(rowOf(rig, id)?.state).toBe("pending");
  writeFileSync(rig.runtime.paths.snapshots, "a file where the folder should be");
  await takePending(rig.runtime, ["s1"], rig.never);
  expect(rowOf(rig, id)?.state).toBe("failed");
  expect(rowOf(rig, id)?.reason).toBeTruthy();
});

it("before a risky tool its hook takes the files, and the timer of the MCP process does not", async () => {
  const rig = aRig();
  const id = save(rig, "rm -rf build", "before_tool");
  await takePending(rig.runtime, ["s1"], rig.never);
  expect(rowOf(rig, id)?.state).toBe("pending");
  await takeAwaited(rig.runtime);
  expect(rowOf(rig, id)?.state).toBe("done");
});

it("when the hook could not, the files are taken later all the same @night", async () => {
  const rig = aRig();
  const id = save(rig, "rm -rf build", "before_tool");
  rig.clock.now += 13_000;
  await takeAwaited(rig.runtime);
  expect(rowOf(rig, id)?.state).toBe("pending");
  await takePending(rig.runtime, ["s1"], rig.never);
  expect(rowOf(rig, id)?.state).toBe("done");
});

it("files of a checkpoint that was deleted meanwhile are dropped @night", async () => {
  const rig = aRig();
  const id = save(rig, "one");
  const taking = takePending(rig.runtime, ["s1"], rig.never);
  rig.runtime.store.write((sql) => forget(sql, { checkpoint: id }));
  await taking;
  const row = rowOf(rig, id);
  expect(row?.state).toBe("drop");
  expect(existsSync(row?.repository ?? "")).toBe(true);
  expect(await dropMarked(rig.runtime, { maxGarbage: 0 })).toEqual({ dropped: 1, failures: [] });
  expect(rowOf(rig, id)).toBeUndefined();
  expect(existsSync(row?.repository ?? "")).toBe(false);
});

it("files of a turn that were not saved before its tool ran are never saved later", async () => {
  const rig = aRig();
  const first = save(rig, "go on", "turn");
  const again = save(rig, "go on", "turn");
  expect(again).not.toBe(first);
  await takeAwaited(rig.runtime, 0);
  expect(rowOf(rig, again)?.state).toBe("failed");
  const third = save(rig, "go on", "turn");
  rig.clock.now += 13_000;
  await takeAwaited(rig.runtime);
  await takePending(rig.runtime, ["s1"], rig.never);
  expect(rowOf(rig, third)?.state).toBe("pending");
});
