import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ConflictWatch } from "#src/local-mcp/team/conflict-watch.ts";
import { readConflicts } from "#src/local-mcp/host/team-handlers.ts";
import * as news from "#src/local-mcp/sessions/news.ts";
import { anotherClaude, Claude } from "#harness/machine/claude.ts";
import { commitAll, git, GIT_ENV, makeProject, write } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { reservationReceived } from "#harness/team/team-rows.ts";

const lines = (count: number): string[] => Array.from({ length: count }, (_, at) => `line ${at + 1}`);
const replaced = (at: number, by: string): string =>
  `${lines(20)
    .with(at - 1, by)
    .join("\n")}\n`;
const base = `${lines(20).join("\n")}\n`;

/** Chat `a` in a project, and `b` in a second work tree of it or beside `a`. */
function twoChats({ isShared = false, config = {} }: { isShared?: boolean; config?: Record<string, unknown> } = {}) {
  const { root, project } = makeProject({ "a.txt": base, "b.txt": base });
  const other = join(root, "other");
  git(project, "worktree", "add", "--quiet", "-b", "other", other);
  const runtime = tempRuntime({ env: GIT_ENV, config });
  const a = new Claude(runtime, { cwd: project });
  const b = anotherClaude(runtime, a, { cwd: isShared ? project : other });
  a.start();
  a.prompt("write the parser");
  b.start();
  b.prompt("write the lexer");
  const watch = new ConflictWatch(runtime);
  return { runtime, a, b, project, other, watch, nameOfB: `"write the lexer" (chat ${b.session.slice(0, 8)})` };
}

function edit(chat: Claude, path: string, content: string): void {
  write(chat.cwd, { [path]: content });
  chat.use("Edit", { file_path: join(chat.cwd, path) });
}

/** News of conflicts that the chat has been given or waits for, oldest first. */
function told(runtime: TempRuntime, { session }: Claude): string[] {
  const all = runtime.store.read((sql) => news.listNewest(sql, 100), []);
  return all
    .filter((row) => row.session === session)
    .flatMap((row) => (row.news.kind === "conflict" ? row.news.text : []))
    .toReversed();
}

const open = readConflicts;

it("[CF4] [CF6] both chats learn of a conflict before either commits, once, with file and own lines", async () => {
  const { runtime, a, b, watch, other, nameOfB } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  expect(await watch.check()).toBe(1);
  expect(told(runtime, a)).toEqual([]);
  edit(b, "a.txt", `new\n${replaced(7, "theirs")}`);
  await watch.check();
  const rest = `will not merge by themselves: a.txt (your line 7). What may help: wait for it, ask it by shim_send to "${b.session}", or merge early.`;
  expect(told(runtime, a)).toEqual([`your changes and those of ${nameOfB} in ${other} ${rest}`]);
  expect(told(runtime, b)).toEqual([expect.stringContaining("a.txt (your line 8)")]);
  edit(a, "a.txt", replaced(7, "mine, later"));
  await watch.check();
  expect([told(runtime, a).length, told(runtime, b).length]).toEqual([1, 1]);
});

it("[CF5] shifted lines are no news, and a conflict that was resolved and comes again is", async () => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  edit(b, "a.txt", replaced(7, "theirs"));
  await watch.check();
  edit(a, "a.txt", `shifted\n${replaced(7, "mine")}`);
  await watch.check();
  expect(open(runtime)).toMatchObject([
    {
      path: "a.txt",
      chats: [
        { chat: b.session, lines: "7" },
        { chat: a.session, lines: "8" },
      ],
    },
  ]);
  expect(told(runtime, b)).toHaveLength(1);
  edit(a, "a.txt", base);
  await watch.check();
  expect(open(runtime)).toEqual([]);
  edit(a, "a.txt", replaced(7, "again"));
  await watch.check();
  expect([told(runtime, a).length, told(runtime, b).length]).toEqual([2, 2]);
});

it("[CF4] a conflict with what the other has committed is foreseen, and edits by a shell count", async () => {
  const { runtime, a, b, watch, other } = twoChats();
  edit(b, "a.txt", replaced(7, "theirs"));
  commitAll(other, "theirs");
  write(a.cwd, { "a.txt": replaced(7, "mine") });
  a.use("Bash", { command: "sed -i s/7/mine/ a.txt" });
  await watch.check();
  expect(told(runtime, a)).toHaveLength(1);
});

it("[CF4] nothing is merged for a chat alone, for calls that only read, nor while it is switched off", async () => {
  const { a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  expect([await watch.check(), await watch.check()]).toEqual([1, 0]);
  a.use("Read", { file_path: join(a.cwd, "a.txt") });
  expect(await watch.check()).toBe(0);
  b.kill();
  edit(a, "a.txt", base);
  expect(await watch.check()).toBe(0);
  const off = twoChats({ config: { team: { conflicts: false } } });
  edit(off.a, "a.txt", replaced(7, "mine"));
  expect(await off.watch.check()).toBe(0);
});

it("[CF5] the conflict of a chat that has ended is closed", async () => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  edit(b, "a.txt", replaced(7, "theirs"));
  await watch.check();
  expect(open(runtime)).toHaveLength(1);
  b.end();
  expect(open(runtime)).toEqual([]);
});

it("[CF6] the news comes with the next tool of a long turn, else with the next prompt, and only once", async () => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  edit(b, "a.txt", replaced(7, "theirs"));
  await watch.check();
  const context = a.use("Bash", { command: "npm test" }).hookSpecificOutput?.additionalContext ?? "";
  expect(context).toContain("a.txt (your line 7)");
  expect(a.use("Bash", { command: "npm test" })).toEqual({});
  expect(a.prompt("go on")).toEqual({});
  expect(b.prompt("go on").hookSpecificOutput?.additionalContext).toContain("a.txt (your line 7)");
  expect(runtime.logged).toEqual([]);
});

it("[CF6] of a conflict nothing but paths and line numbers is said", async () => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "password-of-a"));
  edit(b, "a.txt", replaced(7, "password-of-b"));
  await watch.check();
  expect(JSON.stringify([told(runtime, a), told(runtime, b), open(runtime)])).not.toContain("password");
});

it("[CF7] two chats that edit one work tree learn it once, unless one has reserved files", async () => {
  const { runtime, a, b, watch, project, nameOfB } = twoChats({ isShared: true });
  edit(a, "a.txt", replaced(7, "mine"));
  await watch.check();
  expect(told(runtime, a)).toEqual([]);
  edit(b, "b.txt", replaced(9, "theirs"));
  await watch.check();
  edit(b, "b.txt", replaced(9, "more"));
  await watch.check();
  expect(told(runtime, a)).toEqual([
    expect.stringContaining(`${nameOfB} edits files in the same work tree ${project} as this chat`),
  ]);
  expect(told(runtime, a)[0]).toContain("its newest edit: b.txt");
  expect(told(runtime, b)).toHaveLength(1);
  expect(open(runtime)).toMatchObject([{ kind: "tree", path: project }]);
  const reserved = twoChats({ isShared: true });
  reservationReceived(reserved.runtime, { holder: reserved.a.session });
  for (const chat of [reserved.a, reserved.b]) edit(chat, "a.txt", replaced(7, "x"));
  await reserved.watch.check();
  expect(told(reserved.runtime, reserved.b)).toEqual([]);
});

it("[CF7] a chat that edits in the other's work tree from a folder of its own counts there", async () => {
  const { runtime, a, b, watch, project } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  write(project, { "b.txt": replaced(9, "theirs") });
  b.use("Edit", { file_path: join(project, "b.txt") });
  await watch.check();
  expect(told(runtime, a)).toEqual([expect.stringContaining("edits files in the same work tree")]);
});

it("[CF8] all chats of a work tree learn once that its branch was switched, and by whose call", async () => {
  const { runtime, a, b, watch, project } = twoChats({ isShared: true });
  const command = "git switch -c feature";
  const id = a.begin("Bash", { command });
  runtime.clock.now = Math.ceil(runtime.now() / 1_000) * 1_000;
  const env = { ...GIT_ENV, GIT_COMMITTER_DATE: `${runtime.now() / 1_000} +0000` };
  execFileSync(
    "git",
    ["-C", project, "-c", "user.name=T", "-c", "user.email=t@localhost", ...command.split(" ").slice(1)],
    {
      env,
      stdio: "ignore",
    },
  );
  a.done(id, "Bash", { command });
  await watch.check();
  b.use("Bash", { command: "ls" });
  await watch.check();
  const what = `the branch of the work tree ${project} went from main to feature`;
  expect(told(runtime, b)).toEqual([
    expect.stringContaining(`${what} while a call of "write the parser" (chat ${a.session.slice(0, 8)}) ran.`),
  ]);
  expect(told(runtime, a)).toEqual([expect.stringContaining(`${what} while a call of this chat ran`)]);
});
