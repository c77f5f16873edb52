import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, failed, linesOf, type CliHome } from "#harness/machine/cli-home.ts";
import { aWorkerHome, submit } from "#harness/worker/cli-worker.ts";
import { git } from "#harness/machine/git-project.ts";

const node = process.execPath;

async function task(home: CliHome, number: string): Promise<Record<string, unknown>> {
  return await home.json("task show", number);
}

it("`shim worker --type` does the tasks of a type with the command behind --, in worktrees of the repository here @night", async () => {
  const home = aWorkerHome();
  const number = await submit(home, "build --payload", '{"name":"new.txt"}');
  const script = `const { payload } = JSON.parse(require("node:fs").readFileSync(0, "utf8")); require("node:fs").writeFileSync(payload.name, "made"); console.log('{"lines":3}')`;
  const ran = await home.shim("worker --type build --once --", node, "-e", script);
  expect([ran.code, ran.err]).toEqual([0, ""]);
  const told = /works as worker-\S+ on build\n.*started, attempt 1, in .*\n.*done after .*\nTasks: 1 done\.\n$/;
  expect(ran.out).toMatch(told);
  const { branch, output } = (await task(home, number))["result"] as { branch: string; output: unknown };
  expect(output).toEqual({ lines: 3 });
  expect(git(home.project, "show", `${branch}:new.txt`)).toBe("made");
  expect(existsSync(join(home.project, "new.txt"))).toBe(false);
});

it("with --json each event is a line; --once and --max-tasks fail when a task did @night", async () => {
  const home = aWorkerHome();
  const number = await submit(home, "build");
  const ran = await home.shim("worker --type build --max-tasks 1 --json --", node, "-e", "process.exit(4)");
  const events = linesOf<{ event: string }>(ran.out);
  expect(events.map(({ event }) => event)).toEqual(["registered", "began", "ended", "over"]);
  const failure = { task: Number(number), end: "failed", state: "scheduled", reason: "exit code 4" };
  expect(events.at(-2)).toMatchObject(failure);
  expect([ran.code, events.at(-1)]).toEqual([1, { event: "over", ends: { failed: 1 } }]);
});

it("words behind -- are the worker's command, also where one is the name of a subcommand", async () => {
  const home = aCliHome();
  home.alive.add(process.pid);
  const number = await submit(home, "build");
  const folder = mkdtempSync(join(tmpdir(), "shim-service-"));
  writeFileSync(join(folder, "service"), '#!/bin/sh\nprintf %s "$*" > ran.txt\n', { mode: 0o755 });
  home.runtime.env["PATH"] = `${folder}:${process.env["PATH"]}`;
  const options = `worker --type build --folder ${home.other} --once`;
  expect(await home.shim(`${options} -- service nginx restart`)).toMatchObject({ code: 0, err: "" });
  expect(readFileSync(join(home.other, "ran.txt"), "utf8")).toBe("nginx restart");
  expect(await task(home, number)).toMatchObject({ state: "done" });
  expect(await home.shim("worker -- service install --yes")).toMatchObject(failed(2, "give --config, or --type"));
});

it("--folder is worked in as it is, and no repository is needed", async () => {
  const home = aCliHome();
  home.alive.add(process.pid);
  await submit(home, "build");
  const script = `require("node:fs").writeFileSync("here.txt", "made")`;
  const ran = await home.shim("worker --type build --folder ../other --once --", node, "-e", script);
  expect([ran.code, readFileSync(join(home.other, "here.txt"), "utf8")]).toEqual([0, "made"]);
  expect(await home.shim("worker --type build --once -- true")).toMatchObject(
    failed(2, /not in a git repository.*folder/s),
  );
});

it("a file names types and how each is done, with paths from its folder; options have priority @night", async () => {
  const home = aWorkerHome();
  writeFileSync(
    join(home.other, "worker.yaml"),
    `concurrency: 3
types:
  build:
    command: [${node}, -e, "process.exit(9)"]
    repository: ../project
    base: main
  test:
    command: [${node}, -e, "console.log(process.cwd())"]
    folder: .
`,
  );
  const [build, test, other] = [await submit(home, "build"), await submit(home, "test"), await submit(home, "deploy")];
  const ran = await home.shim("worker --config ../other/worker.yaml --concurrency 1 --once");
  expect([ran.code, ran.err]).toEqual([1, ""]);
  expect(await task(home, build)).toMatchObject({ failures: 1, detail: "exit code 9" });
  expect(await task(home, test)).toMatchObject({ state: "done", result: home.other });
  expect(await task(home, other)).toMatchObject({ state: "queued" });
});

it("an error in a file, or in the options, is reported with its line and nothing is done @night", async () => {
  const home = aWorkerHome();
  home.runtime.env["PATH"] = process.env["PATH"];
  const path = join(home.project, "w.yaml");
  for (const [text, said] of [
    ["types:\n  build:\n    comand: [x]\n", /w\.yaml: .*line 3: .*no such field: "comand"/],
    ["types:\n  build: { folder: . }\n", /line 2: types\.build: say how it is done/],
    ["types:\n  build: { command: [x], folder: ., base: main }\n", /neither repository nor base/],
    ["types:\n  build: { command: [x], base: --evil }\n", /the name of a branch/],
    ["types: {}\n", /name a type/],
    ["- build\n", /w\.yaml holds no settings of a worker/],
    ["concurrency: 0\ntypes:\n  a: { command: [x] }\n", /line 1: concurrency: at least 1/],
    ["types:\n  'a b': { command: [x] }\n", /1 to 64 letters/],
    ["types: [\n", /line \d/],
    ["types:\n  a: { command: [./x], folder: nowhere }\n", /a: there is no folder .*nowhere/],
    ["types:\n  a: { command: [./x], repository: ../other }\n", /not in a git repository/],
    ["types:\n  a: { command: [./x], base: nowhere }\n", /a: nowhere is not a commit in/],
    ["types:\n  a: { command: [no-such-program] }\n", /a: there is no program no-such-program/],
    ["types:\n  a: { claude: { program: /no/such/claude } }\n", /a: there is no program \/no\/such\/claude/],
  ] as const) {
    writeFileSync(path, text);
    expect([text, await home.shim("worker --config w.yaml")]).toMatchObject([text, failed(2, said)]);
  }
  await home.misuses("worker", [
    ["", /--config, or --type/],
    ["--type a", /command after --/],
    [["--type", "a b", "--", "x"], /1 to 64 letters/],
    ["--config w.yaml --type a", /give no other/],
    ["--config w.yaml -- x", /give no other/],
    ["--type a --drain-ms -1 -- x", /drainMs: at least 0/],
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
    // The program waits for somebody to open this.
    if (times === 1) void writeFile(gate, "");
  };
  const heed = (asked: () => void): (() => void) => {
    ask = asked;
    return () => undefined;
  };
  const script = `console.log('{"shim":"progress","note":"half"}');
    require("node:fs").readFile(${JSON.stringify(gate)}, () => console.log("end"));`;
  const ran = await home.shimWith({ stdout, [by]: heed }, "worker --type build --", node, "-e", script);
  return [ran.code, (await task(home, number))["state"]];
}

it("Ctrl-C lets running tasks end, and so does a reader that is gone; the second one releases them @night", async () => {
  expect(await interrupted("onInterrupt", 1)).toEqual([0, "done"]);
  expect(await interrupted("onInterrupt", 2)).toEqual([0, "queued"]);
  expect(await interrupted("onReaderGone", 1)).toEqual([0, "done"]);
});

it("the output of a command can be read afterwards, redacted @night", async () => {
  const home = aWorkerHome();
  await submit(home, "build");
  const script = `console.log("hello"); console.error("token ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")`;
  await home.shim("worker --type build --once --", node, "-e", script);
  const folder = join(home.paths.home, "work", "output");
  const [name = ""] = readdirSync(folder);
  const text = readFileSync(join(folder, name), "utf8");
  expect(text).toContain("hello");
  expect(text).not.toContain("a1B2c3D4");
});

it("bypassed permissions are reported at the start of the worker", async () => {
  const home = aCliHome();
  const types = { fix: { folder: "gone", claude: { allowAll: true } }, test: { folder: "gone", claude: {} } };
  writeFileSync(join(home.project, "worker.json"), JSON.stringify({ types }));
  expect((await home.shim("worker --config worker.json")).err.match(/.*allowAll.*/g)).toEqual([
    "fix: Claude Code may use every tool and asks for no permission (allowAll).",
  ]);
});

it("settings that cannot be meant are refused with their line, before anything is taken", async () => {
  const home = aCliHome();
  const told = async (...lines: string[]): Promise<string> => {
    const text = ["types:", "  fix:", "    folder: .", ...lines.map((line) => `    ${line}`)].join("\n");
    writeFileSync(join(home.project, "worker.yaml"), text);
    const { code, err } = await home.shim("worker --config worker.yaml");
    expect(code).toBe(2);
    return err;
  };
  expect(await told()).toContain("say how it is done: by a command, or by claude");
  expect(await told("claude: {}", "command: [make]")).toContain("say how it is done: by a command, or by claude");
  expect(await told("claude:", "  allowedTool: [Read]")).toMatch(/line 5: .*allowedTool/);
  for (const rule of ["--dangerously-skip-permissions", "Bash(", "Read Edit", "Bash (npm test)", '"Bash(a\\nb)"']) {
    expect(await told("claude:", `  allowedTools: [Read, ${rule}]`)).toMatch(/line 5: .*the name of a tool/);
  }
  const good = 'allowedTools: [Read, "Bash(npm test *)", mcp__my-docs__search, mcp__docs__*]';
  expect(await told("claude:", `  ${good}`, "  maxTurns: none")).toMatch(/line 6: [^;]*$/);
  expect(await told("claude:", "  settingSources: [everything]")).toMatch(/line 5: /);
  expect(await told("claude:", "  allowAll: sure")).toMatch(/line 5: /);
  expect(await told("claude:", "  env: [A=B]")).toMatch(/line 5: .*the name of a variable/);
  expect(await told("claude:", "  maxTurns: 0")).toMatch(/line 5: /);
  expect(await told("claude:", "  prices: {opus: {input: 5}}")).toMatch(/line 5: /);
});
