import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aWorkerHome, submit } from "#harness/worker/cli-worker.ts";
import { commitAll, git, write } from "#harness/machine/git-project.ts";
import { failed, printed, type CliHome } from "#harness/machine/cli-home.ts";

const node = process.execPath;

/** Writes the files that the payload names; a test of a job fails while `red.txt` is there. */
const program = `
const { readFileSync, writeFileSync } = require("node:fs");
const { payload } = JSON.parse(readFileSync(0, "utf8"));
for (const [name, text] of Object.entries(payload.files ?? {})) writeFileSync(name, text);
console.log(JSON.stringify({ made: Object.keys(payload.files ?? {}) }));
`;

function files(all: Record<string, string>): string {
  return JSON.stringify({ files: all });
}

async function work(home: CliHome, more: object = {}): Promise<number> {
  const settings = { types: { build: { command: [node, "-e", program], repository: home.project, ...more } } };
  writeFileSync(join(home.other, "worker.json"), JSON.stringify(settings));
  return (await home.shim("worker --config", join(home.other, "worker.json"), "--once")).code;
}

const dependsOn = (...tasks: string[]): string[] => ["--depends-on", ...tasks];

/** Two tasks that go together, and one that depends on both. */
async function threeTasks(home: CliHome): Promise<[string, string, string]> {
  const one = await submit(home, "build --payload", files({ "api.js": "api\n" }));
  const two = await submit(home, "build --payload", files({ "db.js": "db\n" }));
  const three = await submit(home, "build --payload", files({ "tests.js": "tests\n" }), ...dependsOn(one, two));
  return [one, two, three];
}

it("a worker's dependent task holds what it depends on; diff shows what each task did itself @night", async () => {
  const home = aWorkerHome();
  const [one, , three] = await threeTasks(home);
  expect(await work(home)).toBe(0);
  const { result } = (await home.json("task show", three)) as { result: { branch: string } };
  expect(git(home.project, "ls-tree", "--name-only", result.branch)).toBe("a.txt\napi.js\ndb.js\ntests.js\n");
  const diff = await home.json("task diff", three);
  expect(diff).toMatchObject({ branch: result.branch, files: [{ path: "tests.js", added: 1, removed: 0 }] });
  expect((await home.shim("task diff", one)).out).toMatch(/api\.js \| 1 \+[\s\S]*\+api/);
});

it("a task without a branch is reported with the reason, and so is one whose commit is not here @night", async () => {
  const home = aWorkerHome();
  const nothing = await submit(home, "build --payload {}");
  const other = await submit(home, "build --payload", files({ "b.js": "b\n" }));
  await work(home);
  const queued = await submit(home, "deploy");
  for (const [task, said] of [
    [nothing, "nothing was changed"],
    [queued, "it is queued"],
  ] as const) {
    expect(await home.shim("task diff", task)).toMatchObject(failed(1, said));
  }
  expect((await home.shim("task diff 999")).code).toBe(3);
  git(home.other, "init", "-q", "-b", "main");
  write(home.other, { "a.txt": "other\n" });
  commitAll(home.other, "other");
  const elsewhere = { cwd: home.other };
  expect(await home.shimWith(elsewhere, "task merge", other)).toMatchObject(
    failed(1, /commit [0-9a-f]{12} of machine \S+ .* is not in .*--remote/),
  );
  git(home.other, "remote", "add", "origin", home.project);
  const diff = ["task diff", other, "--remote"] as const;
  expect(await home.shimWith(elsewhere, ...diff, "origin")).toMatchObject(printed("b.js"));
  expect(await home.shimWith(elsewhere, ...diff, "none")).toMatchObject(failed(2, "no remote none"));
  expect(await home.shimWith({ cwd: home.folder }, "task diff", other)).toMatchObject(
    failed(1, "Run the command in the repository"),
  );
});

it("merge brings a task into the current branch, as its user, and says when it is there already @night", async () => {
  const home = aWorkerHome();
  git(home.project, "config", "user.name", "Ann");
  git(home.project, "config", "user.email", "ann@localhost");
  const [one, , three] = await threeTasks(home);
  await work(home);
  write(home.project, { "mine.txt": "mine\n", "loose.txt": "loose\n" });
  git(home.project, "add", "mine.txt");
  git(home.project, "commit", "-qm", "mine");
  const merged = await home.json("task merge", three);
  const head = git(home.project, "rev-parse", "HEAD").trim();
  expect(merged).toMatchObject({ tasks: [Number(three)], into: "main", commit: head });
  expect(git(home.project, "log", "-1", "--format=%an <%ae> %cn").trim()).toBe("Ann <ann@localhost> Ann");
  const names = ["api.js", "db.js", "tests.js", "mine.txt"];
  expect(names.filter((name) => !existsSync(join(home.project, name)))).toEqual([]);
  expect(git(home.project, "status", "--porcelain")).toBe("?? loose.txt\n");
  expect((await home.shim("task merge", one)).out).toMatch(/^main already has all of task .*\./);
  expect(git(home.project, "rev-parse", "HEAD").trim()).toBe(head);
});

it("merge refuses uncommitted changes, no branch, a merge under way and a conflict @night", async () => {
  const home = aWorkerHome();
  const one = await submit(home, "build --payload", files({ "a.txt": "theirs\n", "new.txt": "new\n" }));
  await work(home);
  const state = (): string[] => [
    git(home.project, "rev-parse", "HEAD"),
    git(home.project, "status", "--porcelain"),
    readFileSync(join(home.project, "a.txt"), "utf8"),
  ];
  const refused = async (said: RegExp): Promise<void> => {
    const before = state();
    expect(await home.shim("task merge", one)).toMatchObject(failed(1, said));
    expect(state()).toEqual(before);
  };
  write(home.project, { "a.txt": "changed\n" });
  await refused(/not committed: a\.txt/);
  git(home.project, "checkout", "-q", "a.txt");
  write(home.project, { "new.txt": "in the way\n" });
  await refused(/nothing was changed: .*new\.txt/);
  write(home.project, { ".gitignore": "new.txt\n" });
  git(home.project, "add", ".gitignore");
  git(home.project, "commit", "-qm", "ignore");
  await refused(/nothing was changed: .*new\.txt/);
  expect(readFileSync(join(home.project, "new.txt"), "utf8")).toBe("in the way\n");
  git(home.project, "checkout", "-q", "--detach");
  await refused(/on no branch/);
  git(home.project, "checkout", "-q", "main");
  write(home.project, { "a.txt": "mine\n" });
  git(home.project, "commit", "-qam", "mine");
  await refused(/conflicts in 1 file \(a\.txt\); nothing was changed.*git merge [0-9a-f]{40}/);
  writeFileSync(join(home.project, ".git", "MERGE_HEAD"), git(home.project, "rev-parse", "HEAD"));
  await refused(/has an operation in progress/);
});

/** A job of two parts in two folders. */
function aJob(home: CliHome): string {
  const path = join(home.other, "job.yaml");
  writeFileSync(path, "title: two modules\nfiles:\n  - path: src/a/one.js\n  - path: src/b/two.js\n");
  return path;
}

/** Each part writes a file of its own; the join, which has no part, writes none. */
const partProgram = `
const { readFileSync, writeFileSync, existsSync } = require("node:fs");
const { payload } = JSON.parse(readFileSync(0, "utf8"));
if (payload.part) writeFileSync(payload.part.name + ".txt", payload.part.name);
else if (!existsSync("part-1.txt") || !existsSync("part-2.txt")) throw new Error("the parts are not here");
console.log("{}");
`;

async function submitJob(home: CliHome, ...args: string[]): Promise<string> {
  const file = aJob(home);
  const done = await home.shim(
    "task jobs submit",
    file,
    "--type",
    "build",
    "--split",
    "--by",
    "file",
    ...args,
    "--json",
  );
  return String((done.json() as { task: number }).task);
}

it("a job ends on one branch with all of its parts, on which its tests have passed, and that can be merged @night", async () => {
  const home = aWorkerHome();
  const job = await submitJob(home);
  const jobTests = [node, "-e", 'if (!require("node:fs").existsSync("part-2.txt")) process.exit(1)'];
  expect(await work(home, { command: [node, "-e", partProgram], jobTests })).toBe(0);
  expect(await home.json("task show", job)).toMatchObject({
    state: "done",
    result: { branch: `shim/job-${job}`, tests: { command: jobTests.join(" ") } },
    parts: [
      { ref: "part-1", state: "done", branch: expect.stringMatching(/^shim\/task-/) },
      { ref: "part-2", state: "done" },
    ],
  });
  expect(git(home.project, "ls-tree", "--name-only", `shim/job-${job}`)).toBe("a.txt\npart-1.txt\npart-2.txt\n");
  const { out } = await home.shim("task show", job);
  expect(out).toMatch(/^Task \d+ \(build\) is done: .* its work is on shim\/job-\d+ .* its tests have passed: /);
  expect(out).toMatch(/\nPART .*\npart-1 +\d+ +build +done +shim\/task-/);
  expect((await home.shim("task merge", job)).code).toBe(0);
  expect(existsSync(join(home.project, "part-2.txt"))).toBe(true);
});

it("a job whose tests fail is not done, and says why it has no branch; without tests it says that none ran @night", async () => {
  const home = aWorkerHome();
  const job = await submitJob(home);
  const jobTests = [node, "-e", 'console.error("2 tests are red"); process.exit(1)'];
  expect(await work(home, { command: [node, "-e", partProgram], jobTests })).toBe(1);
  expect(await home.json("task show", job)).toMatchObject({
    state: "scheduled",
    detail: "the tests of the job fail: exit code 1: 2 tests are red",
    checkpoint: { failedTests: "the tests of the job fail: exit code 1: 2 tests are red" },
  });
  expect((await home.shim("task show", job)).out).toMatch(/is scheduled: .*the tests of the job fail/);
  expect(git(home.project, "branch", "--list", "shim/job-*")).toBe("");
  const other = await submitJob(home);
  expect(await work(home, { command: [node, "-e", partProgram] })).toBe(0);
  expect((await home.shim("task show", other)).out).toMatch(/no tests ran on it: .*jobTests/);
});

it("a job that the coordinator joined has no branch of its own, and its parts can be merged together @night", async () => {
  const home = aWorkerHome();
  const job = await submitJob(home, "--join-rule", "collect");
  expect(await work(home, { command: [node, "-e", partProgram] })).toBe(0);
  const { out } = await home.shim("task show", job);
  expect(out).toMatch(/the coordinator has joined .* \(collect\)\.\nIt has no branch of its own; `shim task merge/);
  expect(await home.shim("task diff", job)).toMatchObject(failed(1, /joined the results of .* \(collect\)/));
  expect(((await home.json("task merge", job)) as { tasks: number[] }).tasks).toHaveLength(2);
  expect(["part-1.txt", "part-2.txt"].map((name) => existsSync(join(home.project, name)))).toEqual([true, true]);
});

it("missing or contradicting inputs are the task's reason; its settings are checked first @night", async () => {
  const home = aWorkerHome();
  const one = await submit(home, "build --payload", files({ "a.txt": "first\n" }));
  const two = await submit(home, "build --payload", files({ "a.txt": "second\n" }));
  const three = await submit(home, "build --payload {}", ...dependsOn(one, two));
  expect(await work(home)).toBe(1);
  expect(await home.json("task show", three)).toMatchObject({
    state: "dead",
    detail: expect.stringMatching(/inputs of task \d+: task \d+ conflicts .* in a\.txt/),
  });
  expect(await home.shim("worker --type build --remote nowhere --once --", node, "-e", "")).toMatchObject(
    failed(2, "has no remote nowhere"),
  );
});
