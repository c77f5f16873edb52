import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, failed, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { submit, Worker } from "#harness/worker/worker-rig.ts";
import { git, makeRepository, temporaryFolder } from "#harness/machine/git-project.ts";

const node = process.execPath;

function aWorkerHome(isGit = true): CliHome {
  const home = aCliHome();
  home.alive.add(process.pid);
  if (isGit) makeRepository(home.project, { "a.txt": "one\n" });
  return home;
}

it("words behind -- are the worker's command, also where one is the name of a subcommand", async () => {
  const home = aWorkerHome(false);
  const number = await submit(home, "build");
  const folder = temporaryFolder();
  writeFileSync(join(folder, "service"), '#!/bin/sh\nprintf %s "$*" | tee ran.txt\n', { mode: 0o755 });
  home.runtime.env["PATH"] = `${folder}:${process.env["PATH"]}`;
  // In the folder as it is, which is in no repository.
  const options = "worker --type build --folder ../other --once";
  const out = /works as worker-\S+ on build\n.*started, attempt 1, in .*\n.*done after .*\nTasks: 1 done\.\n$/;
  expect(await home.shim(`${options} -- service nginx restart`)).toMatchObject({ ...printed(out), err: "" });
  expect(readFileSync(join(home.other, "ran.txt"), "utf8")).toBe("nginx restart");
  const [output = ""] = readdirSync(join(home.paths.home, "work", "output"));
  expect(readFileSync(join(home.paths.home, "work", "output", output), "utf8")).toContain("nginx restart");
  expect(await home.json("task show", number)).toMatchObject({ state: "done" });
  expect(await home.shim("worker -- service install --yes")).toMatchObject(failed(2, "give --config, or --type"));
  const none = failed(2, /not in a git repository.*folder/s);
  expect(await home.shim("worker --type build --once -- true")).toMatchObject(none);
});

it("a file names types and how each is done, with paths from its folder; options have priority", async () => {
  const home = aWorkerHome();
  const types = {
    build: { command: [node, "-e", "process.exit(9)"], repository: "../project", base: "main" },
    test: { command: [node, "-e", "console.log(process.cwd())"], folder: "." },
  };
  writeFileSync(join(home.other, "worker.yaml"), JSON.stringify({ concurrency: 3, types }));
  for (const type of ["build", "test", "deploy"]) await submit(home, type);
  const ran = await home.shim("worker --config ../other/worker.yaml --concurrency 1 --once");
  expect([ran.code, ran.err]).toEqual([1, ""]);
  expect(await home.json("task show 1")).toMatchObject({ failures: 1, detail: "exit code 9" });
  expect(await home.json("task show 2")).toMatchObject({ state: "done", result: home.other });
  expect(await home.json("task show 3")).toMatchObject({ state: "queued" });
  const { chats } = await home.json("call chats.list");
  expect(chats).toContainEqual(expect.objectContaining({ role: "worker", capacity: 1 }));
});

const rules = ["--dangerously-skip-permissions", "Bash(", "Read Edit", "Bash (npm test)", '"Bash(a\\nb)"'];
/** Settings of Claude Code that cannot be meant, in line 5. */
const ofClaude = [
  ["allowedTool: [Read]", /line 5: .*allowedTool/],
  ...rules.map((rule) => [`allowedTools: [Read, ${rule}]`, /line 5: .*the name of a tool/] as const),
  ["allowAll: sure", /line 5: /],
  ["env: [A=B]", /line 5: .*the name of a variable/],
  ['allowedTools: [Read, "Bash(npm test *)", mcp__my-docs__search]\n      maxTurns: none', /line 6: [^;]*$/],
] as const;

it("an error in a file, or in the options, is reported with its line and nothing is taken", async () => {
  const home = aWorkerHome();
  home.runtime.env["PATH"] = process.env["PATH"];
  const path = join(home.project, "w.yaml");
  for (const [text, said] of [
    ["types:\n  build:\n    comand: [x]\n", /w\.yaml: .*line 3: .*no such field: "comand"/],
    ["types:\n  build: { folder: . }\n", /line 2: types\.build: say how it is done/],
    ["types:\n  build: { command: [x], base: --evil }\n", /the name of a branch/],
    ["- build\n", /w\.yaml holds no settings of a worker/],
    ["types: [\n", /line \d/],
    ["types:\n  a: { command: [./x], folder: nowhere }\n", /a: there is no folder .*nowhere/],
    ["types:\n  a: { command: [./x], repository: ../other }\n", /not in a git repository/],
    ["types:\n  a: { command: [no-such-program] }\n", /a: there is no program no-such-program/],
    ...ofClaude.map(([line, why]) => [`types:\n  fix:\n    folder: .\n    claude:\n      ${line}\n`, why] as const),
  ] as const) {
    writeFileSync(path, text);
    expect([text, await home.shim("worker --config w.yaml")]).toMatchObject([text, failed(2, said)]);
  }
  await home.misuses("worker", [
    ["", /--config, or --type/],
    ["--type a", /command after --/],
    ["--config w.yaml --type a", /give no other/],
    ["--type a --concurrency 0 -- x", /concurrency: at least 1/],
  ]);
  expect((await home.shim("worker --config none.yaml")).code).toBe(3);
});

/** A task whose program has reported; by the first `times` requests it is asked to end, and then it may. */
async function interrupted(by: "onInterrupt" | "onReaderGone", times: number): Promise<unknown> {
  const home = aWorkerHome();
  const number = await submit(home, "build");
  const gate = join(home.folder, "gate");
  spawnSync("mkfifo", [gate]);
  let ask: (() => void) | null = null;
  const stdout = (text: string): void => {
    if (!text.includes("half")) return;
    for (let n = 0; n < times; n++) ask?.();
    // The program waits until this is opened.
    if (times === 1) void writeFile(gate, "");
  };
  const onAsked = (asked: () => void): (() => void) => ((ask = asked), () => undefined);
  const script = `console.log('{"shim":"progress","note":"half"}');
    require("node:fs").readFile(${JSON.stringify(gate)}, () => console.log("end"));`;
  const ran = await home.shimWith({ stdout, [by]: onAsked }, "worker --type build --", node, "-e", script);
  return [ran.code, (await home.json("task show", number))["state"]];
}

it("Ctrl-C lets running tasks end, and so does a reader that is gone; the second one releases them", async () => {
  expect(await interrupted("onInterrupt", 1)).toEqual([0, "done"]);
  expect(await interrupted("onInterrupt", 2)).toEqual([0, "queued"]);
  expect(await interrupted("onReaderGone", 1)).toEqual([0, "done"]);
});

/** Writes the files that the payload names; a test of a job fails while `red.txt` is there. */
const program = `
const { readFileSync, writeFileSync } = require("node:fs");
const { payload } = JSON.parse(readFileSync(0, "utf8"));
for (const [name, text] of Object.entries(payload.files ?? {})) writeFileSync(name, text);
console.log(JSON.stringify({ made: Object.keys(payload.files ?? {}) }));
`;

/** A task that writes these files. */
function submitFiles(home: CliHome, files: Record<string, string>, ...more: string[]): Promise<string> {
  return submit(home, "build --payload", JSON.stringify({ files }), ...more);
}

async function work(home: CliHome, more: object = {}): Promise<number> {
  const settings = { types: { build: { command: [node, "-e", program], repository: home.project, ...more } } };
  writeFileSync(join(home.other, "worker.json"), JSON.stringify(settings));
  return (await home.shim("worker --config ../other/worker.json --once")).code;
}

it("a dependent task begins with what it depends on, and the commands that it names show its own work and merge all", async () => {
  const home = aWorkerHome();
  const one = await submitFiles(home, { "api.js": "api\n" });
  const two = await submitFiles(home, { "db.js": "db\n" });
  const three = await submitFiles(home, { "tests.js": "tests\n" }, "--depends-on", one, two);
  expect(await work(home)).toBe(0);
  const { out } = await home.shim("task show", three);
  const [, diff = "", merge = ""] = /\n`git (diff .*)` shows its work, `git (merge .*)` takes it\.\n/.exec(out) ?? [];
  expect(git(home.project, ...diff.split(" "), "--name-only")).toBe("tests.js\n");
  git(home.project, ...merge.split(" "));
  expect(git(home.project, "ls-files")).toBe("a.txt\napi.js\ndb.js\ntests.js\n");
});

it("a branch whose name a shell would read is no part of a command", async () => {
  const home = aCliHome();
  const number = await submit(home, "build");
  new Worker(home).take().done({ branch: "x`id`", commit: "a".repeat(40) });
  expect((await home.shim("task show", number)).out).not.toContain("git merge");
});

/** Each part writes a file of its own; the join, which has no part, writes none. */
const partProgram = `
const { readFileSync, writeFileSync, existsSync } = require("node:fs");
const { payload } = JSON.parse(readFileSync(0, "utf8"));
if (payload.part) writeFileSync(payload.part.name + ".txt", payload.part.name);
else if (!existsSync("part-1.txt") || !existsSync("part-2.txt")) throw new Error("the parts are not here");
console.log("{}");
`;

/** A job of two parts in two folders, with this test of the whole, is submitted and worked on. */
async function doJob(home: CliHome, test: string): Promise<{ job: string; code: number }> {
  const file = join(home.other, "job.yaml");
  writeFileSync(file, "title: two modules\nfiles:\n  - path: src/a/one.js\n  - path: src/b/two.js\n");
  const done = await home.json("task jobs submit --type build --split --by file", file);
  const code = await work(home, { command: [node, "-e", partProgram], jobTests: [node, "-e", test] });
  return { job: String(done["task"]), code };
}

it("a job ends on one branch with all of its parts, on which its tests have passed, and that can be merged @night", async () => {
  const home = aWorkerHome();
  const { job, code } = await doJob(home, 'if (!require("node:fs").existsSync("part-2.txt")) process.exit(1)');
  expect(code).toBe(0);
  const { out } = await home.shim("task show", job);
  expect(out).toMatch(/^Task \d+ \(build\) is done: .* its work is on shim\/job-\d+ .* its tests have passed: /);
  expect(out).toMatch(/\nPART .*\npart-1 +\d+ +build +done +shim\/task-/);
  git(home.project, "merge", `shim/job-${job}`);
  expect(existsSync(join(home.project, "part-1.txt"))).toBe(true);
});

it("a job whose tests fail is not done, and says why it has no branch", async () => {
  const home = aWorkerHome();
  const { job, code } = await doJob(home, 'console.error("2 tests are red"); process.exit(1)');
  expect(code).toBe(1);
  const detail = "the tests of the job fail: exit code 1: 2 tests are red";
  expect(await home.json("task show", job)).toMatchObject({ state: "scheduled", detail });
  expect(git(home.project, "branch", "--list", "shim/job-*")).toBe("");
});
