import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { git, temporaryFolder, write } from "#harness/machine/git-project.ts";

/** The built program behind its launcher. */
const launcher = join(import.meta.dirname, "..", "..", "bin", "shim.mjs");

/** Writes a file with the name of its type, and answers which files are there. */
const program = `
const { readdirSync, readFileSync, writeFileSync } = require("node:fs");
const { type } = JSON.parse(readFileSync(0, "utf8"));
writeFileSync(type + ".js", type);
console.log(JSON.stringify(readdirSync(".").filter((name) => name.endsWith(".js"))));
`;

interface Machine {
  readonly repository: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A machine of the workspace with a clone of the shared repository. */
async function aMachine(edge: EdgeRuntime, shared: string, name: string): Promise<Machine> {
  const folder = temporaryFolder();
  const [repository, home] = [join(folder, "clone"), join(folder, "shim")];
  git(folder, "clone", "-q", shared, repository);
  const { token } = await edge.call("tokens.create", { machine: name, scope: "work" });
  const { url, workspace } = edge;
  writeEdgeConfig(home, { url, workspace, machine: name, token });
  const settings = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  return { repository, env: { PATH: process.env["PATH"], HOME: folder, SHIM_HOME: home, ...settings } };
}

/** @returns what it prints with --json, and its exit code */
function shim(
  { repository: cwd, env }: Machine,
  ...args: string[]
): Promise<{ readonly out: Record<string, unknown>; readonly code: number | null }> {
  const child = spawn(process.execPath, [launcher, ...args], { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
  return new Promise((resolve) => {
    child.once("close", (code) => {
      const [last = "{}"] = text.startsWith("{\n") ? [text] : text.trim().split("\n").slice(-1);
      resolve({ out: JSON.parse(last) as Record<string, unknown>, code });
    });
  });
}

function work(machine: Machine, type: string, ...more: string[]): ReturnType<typeof shim> {
  const options = ["--type", type, "--max-tasks", "1", "--json", ...more];
  return shim(machine, "worker", ...options, "--", process.execPath, "-e", program);
}

it("[WK30] [WK32] [WK33] [CL122] one machine's work is in the next one's worktree through the project's remote", async () => {
  const edge = await EdgeRuntime.open();
  const folder = temporaryFolder();
  const [first, shared] = [join(folder, "first"), join(folder, "shared.git")];
  mkdirSync(first);
  git(first, "init", "-q", "-b", "main");
  write(first, { "a.txt": "one\n" });
  git(first, "add", ".");
  git(first, "commit", "-qm", "first");
  git(folder, "clone", "-q", "--bare", first, shared);
  const [here, there] = [await aMachine(edge, shared, "m1"), await aMachine(edge, shared, "m2")];

  const { tasks } = await edge.call("tasks.submit", {
    tasks: [
      { type: "api", ref: "api" },
      { type: "db", ref: "db" },
      { type: "tests", dependsOn: ["api", "db"], backoff: { baseMs: 0, capMs: 0 } },
    ],
  });
  const [api, , tests] = tasks.map(({ task }) => task);
  expect((await work(here, "api", "--remote", "origin")).code).toBe(0);
  expect((await work(there, "db", "--remote", "origin")).code).toBe(0);

  expect((await work(there, "tests")).code).toBe(1);
  expect(await edge.call("tasks.get", { task: tests ?? 0 })).toMatchObject({ failures: 1 });
  // The worker may be given the task once more, and give it back, before it has left.
  const { attempts } = await edge.call("tasks.history", { task: tests ?? 0 });
  const reason = /inputs of task 3: commit [0-9a-f]{12} of machine m1 is not here \(task 1, branch shim\/task-1-/;
  expect(attempts).toContainEqual(
    expect.objectContaining({ end: "failed", reason: expect.stringMatching(reason) as string }),
  );

  expect((await work(there, "tests", "--remote", "origin")).code).toBe(0);
  const done = await edge.call("tasks.get", { task: tests ?? 0 });
  expect(done).toMatchObject({ state: "done", result: { machine: "m2", output: ["api.js", "db.js", "tests.js"] } });

  const merged = await shim(here, "task", "merge", String(tests), "--remote", "origin", "--json");
  expect([merged.code, merged.out["into"]]).toEqual([0, "main"]);
  expect(git(here.repository, "ls-files").split("\n")).toEqual(["a.txt", "api.js", "db.js", "tests.js", ""]);
  const diff = await shim(here, "task", "diff", String(api), "--json");
  expect(diff.out).toMatchObject({ files: [{ path: "api.js", added: 1 }] });
  const heads = git(shared, "for-each-ref", "--format=%(refname:short)", "refs/heads").split("\n").filter(Boolean);
  expect(heads.filter((name) => !name.startsWith("shim/task-"))).toEqual(["main"]);
  expect(git(shared, "rev-parse", "main")).toBe(git(first, "rev-parse", "main"));
});
