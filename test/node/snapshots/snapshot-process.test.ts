import { mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { runJob } from "#src/snapshots/snapshot-process.ts";
import { GIT_ENV, LIMITS, makeProject, T0, type GitProject } from "#harness/machine/git-project.ts";

/** A project, and the program of snapshots, whose git first runs `script`. */
function aRig(script: string) {
  const from = makeProject({ "a.txt": "one\n" });
  const bin = join(from.root, "bin");
  mkdirSync(bin);
  const entry = pathToFileURL(resolve("src/snapshots/snapshots-entry.ts"));
  writeFileSync(join(bin, "mcp-snapshots.cjs"), `void import(${JSON.stringify(entry)});`);
  const others = GIT_ENV["PATH"] ?? "";
  writeFileSync(join(bin, "git"), `#!/bin/sh\n${script}\nPATH='${others}'\nexec git "$@"\n`, { mode: 0o700 });
  const env = { ...GIT_ENV, PATH: `${bin}:${others}`, ROOT: from.root };
  const launch = { node: process.execPath, script: "", hookScript: join(bin, "hook.cjs") };
  return { from, runtime: { env, launch, processes: systemProcesses } };
}

function inputOf({ project, snapshots }: GitProject) {
  return { project, snapshots, checkpointId: "cp1", now: T0, limits: LIMITS };
}

it("[GS25] another process runs git and reads its lists, and the answer is that of a snapshot", async () => {
  const { from, runtime } = aRig(`echo $PPID >> "$ROOT/parents"`);
  const snapshot = await runJob(runtime, "takeSnapshot", inputOf(from));
  expect(snapshot).toMatchObject({ state: "done", files: 1 });
  const parents = new Set(readFileSync(join(from.root, "parents"), "utf8").trim().split("\n"));
  expect(parents.size).toBe(1);
  expect(parents).not.toContain(String(process.pid));
  const dropped = await runJob(runtime, "dropSnapshots", {
    repository: snapshot.state === "done" ? snapshot.repository : "",
    checkpointIds: ["cp1"],
    timeoutMs: LIMITS.timeoutMs,
  });
  expect(dropped).toEqual({ ok: true, value: { left: 0 } });
  expect(readdirSync(from.snapshots)).toEqual([]);
});

it("[GS25] a process that dies at its work fails that snapshot alone, and holds up no later one", async () => {
  const { from, runtime } = aRig(
    `[ -e "$ROOT/home/snapshots" ] && [ ! -e "$ROOT/killed" ] && : > "$ROOT/killed" && kill -9 $PPID`,
  );
  await expect(runJob(runtime, "takeSnapshot", inputOf(from))).rejects.toThrow(/takeSnapshot ended .*SIGKILL/);
  expect(await runJob(runtime, "takeSnapshot", inputOf(from))).toMatchObject({ state: "done" });
  expect(readdirSync(from.snapshots)).toHaveLength(1);
});

it("[GS25] a caller that stops it has the reason, and nothing is left behind", async () => {
  const { from, runtime } = aRig(`[ -e "$ROOT/home/snapshots" ] && : > "$ROOT/works" && exec sleep 600`);
  const abort = new AbortController();
  const watcher = watch(from.root, (_event, name) => {
    if (name === "works") abort.abort();
  });
  const snapshot = await runJob(runtime, "takeSnapshot", inputOf(from), abort.signal);
  watcher.close();
  expect(snapshot).toEqual({ state: "failed", reason: "stopped before it was done" });
  expect(readdirSync(from.snapshots)).toEqual([]);
  expect(await runJob(runtime, "takeSnapshot", inputOf(from), AbortSignal.abort())).toMatchObject({ state: "failed" });
});
