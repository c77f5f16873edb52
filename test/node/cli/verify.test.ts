import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import { ForkRig } from "#harness/machine/cli-rigs.ts";
import { failed, holding, printed, type Ran } from "#harness/machine/cli-home.ts";
import { commitAll, git, write } from "#harness/machine/git-project.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import * as journal from "#src/machine/sessions/journal.ts";

const passes = { "package.json": JSON.stringify({ scripts: { test: "node check.js" } }) };
/** Passes where the file of the snapshot is there, and prints where it ran. */
const check = "const { readFileSync } = require('node:fs'); console.log('checked', readFileSync('new.txt', 'utf8'));";

/** The brief. @param stop aborted: Ctrl-C */
function resume(rig: ForkRig, options = "--verify --print", stop = new AbortController()): Promise<Ran> {
  return rig.home.shimWith({ interrupted: () => stop.signal }, `resume ${rig.id} ${options}`);
}

function expectNothingLeft({ home }: ForkRig): void {
  expect(readdirSync(join(home.folder, "shim", "work"))).toEqual([]);
  expect(git(home.project, "worktree", "list").trim().split("\n")).toHaveLength(1);
}

/** A chat died after a turn whose files were saved; `check.js` decides how the tests end. */
async function aSavedChat(script = check): Promise<ForkRig> {
  const rig = new ForkRig();
  write(rig.home.project, passes);
  commitAll(rig.home.project, "tests");
  rig.prompt("write the file");
  await rig.edit("new.txt", "of the chat", "before_tool");
  await rig.edit("check.js", script);
  await rig.turnEnd();
  return rig;
}

it("the tests run on the files as they were, not on those of now, and the brief has how they ended; a snapshot that is gone is not promised", async () => {
  const rig = await aSavedChat();
  rmSync(rig.path("new.txt"));
  const passed = "`npm test` ended with exit code 0 after ";
  const ended = `\\ntests of these files as they were, \\S+ \\S+ ago: ${passed}[^\\n]*checked of the chat\\n`;
  const open = "Not verified: what these tests do not cover, and what came after its last event";
  const err = holding("Testing the newest snapshot: npm test", `Tests: ${passed}`);
  expect(await resume(rig)).toMatchObject({ ...printed(new RegExp(ended), open), err });
  expect(existsSync(rig.path("new.txt"))).toBe(false);
  expectNothingLeft(rig);
  expect(await resume(rig, "--print")).toMatchObject(printed("puts them back (its commit is there now)\n"));
  rmSync(rig.home.runtime.paths.snapshots, { recursive: true });
  const gone = /\nfiles as they were: the snapshot is GONE \(commit [0-9a-f]{12} is not in SHIM's repository\)\n/;
  expect(await resume(rig)).toMatchObject(printed(gone, "not run to an end ("));
});

it("tests that fail are quoted with their exit code, without secrets, and nothing is said to be right", async () => {
  const secret = `ghp_${"a1B2".repeat(9)}`;
  const print = `console.error("3 of 7 are wrong: ${secret.slice(0, 10)}" + "${secret.slice(10)}");`;
  const ran = await resume(await aSavedChat(`${print} process.exit(4);`));
  const ended = /tests of these files as they were, .*: `npm test` ended with exit code \d+ after .*3 of 7 are wrong/;
  expect(ran).toMatchObject(printed(ended, "Not verified: whether the work is right"));
  expect(ran.out).not.toContain(secret);
});

it("the tests are those of the folder of the chat, or of the nearest above it, and what is not there is counted", async () => {
  const rig = await aSavedChat("process.exit(1);");
  const { project: root, runtime } = rig.home;
  const cwd = join(root, "app", "src");
  const head = git(root, "rev-parse", "HEAD").trim();
  git(root, "update-index", "--add", "--cacheinfo", `160000,${head},module`);
  git(root, "commit", "--quiet", "--message", "a module");
  mkdirSync(join(root, "module"));
  runtime.store.write((sql) => sql.run("UPDATE sessions SET cwd = ? WHERE id = ?", cwd, rig.id));
  await rig.edit("app/package.json", passes["package.json"], "before_tool");
  await rig.edit("app/check.js", "console.log('of the app', 'x'.repeat(9_000), 'at the end');");
  await rig.edit("app/src/a.js", "");
  await rig.turnEnd();
  const ran = await resume(rig);
  expect(ran).toMatchObject(printed("`npm test` ended with exit code 0", "at the end"));
  expect(ran.err).toContain("without 1 file that could not be written");
});

it("what cannot be undone is asked of its remote, and the brief says what that answered", async () => {
  const rig = await aSavedChat();
  const { project, runtime } = rig.home;
  git(project, "init", "-q", "--bare", "-b", "main", "../remote");
  git(project, "remote", "add", "origin", "../remote");
  const call = { id: "p1", name: "Bash", input: "git push origin main" };
  const effect = { kind: "push", command: call.input, shows: "all", branch: "main" } as const;
  const start: JournalEntry = { kind: "tool_start", ...call, effects: [effect] };
  runtime.store.write((sql) => journal.append(sql, rig.id, rig.home.now, "p1", start));
  await rig.turnEnd();
  const line = "git push origin main: unknown (no end of it was seen); to find out: git ls-remote origin main";
  expect(await resume(rig, "--print")).toMatchObject(printed(`${line}\n`));
  const answered = /to find out: git ls-remote origin main; asked [^\n]* ago: origin has no main\n/;
  expect(await resume(rig)).toMatchObject(printed(answered));
});

it("where there is nothing to test the brief says why", async () => {
  for (const [isGit, why] of [
    [false, "the files of the snapshot are based on no git commit"],
    [true, "no tests of the project were found: --tests names a command"],
  ] as const) {
    const rig = new ForkRig(isGit);
    rig.prompt("write");
    expect(await resume(rig)).toMatchObject(printed("not run to an end (no snapshot of the session is stored)"));
    await rig.edit("new.txt", "1", "before_tool");
    await rig.turnEnd();
    expect(await resume(rig)).toMatchObject(printed(`not run to an end (${why})`));
  }
});

it("Ctrl-C ends the tests and all their processes: nothing is left or stored", async () => {
  const rig = await aSavedChat("require('node:fs').writeFileSync('begun', ''); setInterval(() => undefined, 1_000);");
  const stop = new AbortController();
  const running = resume(rig, "--verify --print", stop);
  const work = join(rig.home.folder, "shim", "work");
  const hasBegun = (): boolean =>
    existsSync(work) && readdirSync(work).some((name) => existsSync(join(work, name, "tree", "begun")));
  await vi.waitFor(() => expect(hasBegun()).toBe(true), patience);
  stop.abort();
  expect(await running).toMatchObject(failed(130, "the tests were stopped. Nothing was stored."));
  expectNothingLeft(rig);
  expect((await resume(rig, "--print")).out).not.toContain("tests of");
});
