import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Trigger } from "#src/contract/checkpoint.ts";
import { capture } from "#src/machine/checkpoints/capture.ts";
import { FileSaver } from "#src/local-mcp/host/file-saver.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { makeProject, withGit, type GitProject } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("what a hook waits for is saved beside a save that takes long, not after it", async () => {
  const [large, small] = [makeProject({ "a.txt": "one\n" }), makeProject({ "b.txt": "two\n" })];
  const gate = join(large.root, "gate");
  execFileSync("mkfifo", [gate]);
  const script = `case "$PWD $*" in *${large.root}*) cat '${gate}' 2>/dev/null ;; esac; exec "$GIT" "$@"`;
  const temp = tempRuntime({ env: withGit(small, script) });
  const runtime = { ...temp, processes: systemProcesses };
  const save = (id: string, { project }: GitProject, trigger: Trigger): string => {
    const sighting = { id, client: "test", origin: "handle", project, owner: null, isAlive: true } as const;
    runtime.store.write((sql) => sessions.recordSighting(sql, temp.now(), sighting));
    const saved = capture(runtime, { sessionId: id, trigger, notes: { nextStep: "go on" } });
    if (!saved.ok) throw new Error(saved.error.code);
    return saved.value.checkpoint.id;
  };
  const state = (id: string): unknown =>
    runtime.store.read((sql) => sql.all("SELECT state FROM snapshots WHERE checkpointId = ?", id)[0], undefined);
  const files = new FileSaver(runtime, { servedSessions: () => ["large"] });
  const slow = save("large", large, "on_demand");
  const saving = files.save();
  const awaited = save("small", small, "before_tool");
  await files.saveFor("before_tool");
  expect([state(slow), state(awaited)]).toEqual([{ state: "running" }, { state: "done" }]);
  // Lets the git that waits continue, and those after it pass.
  writeFileSync(gate, "");
  rmSync(gate);
  await saving;
  expect(state(slow)).toEqual({ state: "done" });
});
