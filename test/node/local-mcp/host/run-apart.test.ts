import { mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { jobsOf } from "#src/local-mcp/host/job-process.ts";
import { runApart } from "#src/runtime/run-apart.ts";
import { makeBundle } from "#src/snapshots/make-bundle.ts";
import { dropSnapshots } from "#src/snapshots/drop-snapshots.ts";
import { takeSnapshot } from "#src/snapshots/take-snapshot.ts";
import { GIT_ENV, LIMITS, makeProject, T0 } from "#harness/machine/git-project.ts";

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
  const dropped = await runApart(runtime, "dropSnapshots", dropSnapshots, {
    env,
    repository: snapshot.state === "done" ? snapshot.repository : "",
    checkpointIds: ["cp1"],
    timeoutMs: LIMITS.timeoutMs,
  });
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

it("an error of the work is the caller's, with its code", async () => {
  const { runtime } = aRig("");
  const broken = runApart(runtime, "makeBundle", makeBundle, {} as never);
  await expect(broken).rejects.toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
});

it("a process is kept for the next work, and two works at once have two", async () => {
  const { from, runtime, env } = aRig(`echo $PPID >> "$ROOT/parents"`);
  const { project, snapshots } = from;
  const take = (checkpointId: string) =>
    runApart(runtime, "takeSnapshot", takeSnapshot, { env, project, snapshots, checkpointId, now: T0, limits: LIMITS });
  const parents = () => new Set(readFileSync(join(from.root, "parents"), "utf8").trim().split("\n"));
  await take("cp1");
  await take("cp2");
  expect(parents().size).toBe(1);
  const both = await Promise.all([take("cp3"), take("cp4")]);
  expect(both.map(({ state }) => state)).toEqual(["done", "done"]);
  expect(parents().size).toBe(2);
});
