import { mkdirSync, readdirSync, readFileSync, watch, writeFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { jobsOf } from "#src/local-mcp/host/job-process.ts";
import { runApart } from "#src/runtime/runtime.ts";
import { dropSnapshots } from "#src/snapshots/drop-snapshots.ts";
import { takeSnapshot } from "#src/snapshots/take-snapshot.ts";
import { GIT_ENV, LIMITS, makeProject, T0, withGit, type GitProject } from "#harness/machine/git-project.ts";
import { execFileSync } from "node:child_process";
import type { Trigger } from "#src/contract/checkpoint.ts";
import { capture } from "#src/machine/checkpoints/capture.ts";
import { FileSaver } from "#src/local-mcp/host/served-chat.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

/** A project, and the program of long work, whose git first runs `script`. */
function aRig(script: string) {
  const from = makeProject({ "a.txt": "one\n" });
  const bin = join(from.root, "bin");
  mkdirSync(bin);
  const entry = pathToFileURL(resolve("src/local-mcp/host/jobs-entry.ts"));
  const program = join(bin, "jobs.cjs");
  writeFileSync(program, `void import(${JSON.stringify(entry)});`);
  const others = GIT_ENV["PATH"] ?? "";
  writeFileSync(join(bin, "git"), `#!/bin/sh\n${script}\nPATH='${others}'\nexec git "$@"\n`, { mode: 0o700 });
  const env = { ...GIT_ENV, PATH: `${bin}:${others}`, ROOT: from.root };
  const { project, snapshots } = from;
  const input = { env, project, snapshots, checkpointId: "cp1", now: T0, limits: LIMITS };
  const runtime = { startJob: jobsOf(program), processes: systemProcesses };
  const take = (signal?: AbortSignal) => runApart(runtime, "takeSnapshot", takeSnapshot, input, signal);
  return { from, env, runtime, take };
}

it("another process runs git and reads its lists, and the answer is that of a snapshot", async () => {
  const { from, env, runtime, take } = aRig(`echo $PPID >> "$ROOT/parents"`);
  const snapshot = await take();
  expect(snapshot).toMatchObject({ state: "done", files: 1 });
  const parents = new Set(readFileSync(join(from.root, "parents"), "utf8").trim().split("\n"));
  expect(parents.size).toBe(1);
  expect(parents).not.toContain(String(process.pid));
  const repository = snapshot.state === "done" ? snapshot.repository : "";
  const drop = { env, repository, checkpointIds: ["cp1"], timeoutMs: LIMITS.timeoutMs };
  const dropped = await runApart(runtime, "dropSnapshots", dropSnapshots, drop);
  expect(dropped).toEqual({ ok: true, value: { left: 0 } });
  expect(readdirSync(from.snapshots)).toEqual([]);
});

it("a process that dies at its work fails that snapshot alone, and holds up no later one", async () => {
  const { from, take } = aRig(
    `[ -e "$ROOT/home/snapshots" ] && [ ! -e "$ROOT/killed" ] && : > "$ROOT/killed" && kill -9 $PPID`,
  );
  await expect(take()).rejects.toThrow(/takeSnapshot ended .*SIGKILL/);
  expect(await take()).toMatchObject({ state: "done" });
  expect(readdirSync(from.snapshots)).toHaveLength(1);
});

it("a caller that stops it has the reason, and nothing is left behind", async () => {
  const { from, take } = aRig(`[ -e "$ROOT/home/snapshots" ] && : > "$ROOT/works" && exec sleep 600`);
  const abort = new AbortController();
  const watcher = watch(from.root, (_event, name) => {
    if (name === "works") abort.abort();
  });
  const snapshot = await take(abort.signal);
  watcher.close();
  expect(snapshot).toEqual({ state: "failed", reason: "stopped before it was done" });
  expect(readdirSync(from.snapshots)).toEqual([]);
  expect(await take(AbortSignal.abort())).toMatchObject({ state: "failed" });
});

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
