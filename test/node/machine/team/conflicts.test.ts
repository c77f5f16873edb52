import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import { Notifier } from "#src/local-mcp/notify/notifier.ts";
import { MachineWork } from "#src/local-mcp/host/machine-work.ts";
import { ConflictWatch } from "#src/machine/team/conflict-watch.ts";
import { takeNews } from "#src/machine/team/deliver-news.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { foreseeConflicts, type ForeseeInput } from "#src/snapshots/foresee-conflicts.ts";
import { readConflicts } from "#src/machine/operations/team-handlers.ts";
import * as news from "#src/machine/sessions/news.ts";
import { anotherClaude, Claude } from "#harness/machine/claude.ts";
import { commitAll, git, GIT_ENV, makeProject, temporaryFolder, write } from "#harness/machine/git-project.ts";
import { patience } from "#harness/machine/host-rig.ts";
import { aReceiver } from "#harness/machine/notified.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { reservationReceived } from "#harness/team/team-rows.ts";

const lines = (count: number): string[] => Array.from({ length: count }, (_, at) => `line ${at + 1}`);
const replaced = (at: number, by: string): string =>
  `${lines(20)
    .with(at - 1, by)
    .join("\n")}\n`;
const base = `${lines(20).join("\n")}\n`;

/** Later than what git notes as the time of the test's own commits. */
const now = 2_000_000_000_000;

/** Chat `a` in a project, and `b` in a second work tree of it or beside `a`. */
function twoChats({ isShared = false, config = {} }: { isShared?: boolean; config?: Record<string, unknown> } = {}) {
  const { root, project } = makeProject({ "a.txt": base, "b.txt": base });
  const other = join(root, "other");
  git(project, "worktree", "add", "--quiet", "-b", "other", other);
  const runtime = tempRuntime({ env: GIT_ENV, config, now });
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

/** News of conflicts that the chat has been given by now, oldest first. */
function told(runtime: TempRuntime, { session }: Claude): string[] {
  takeNews(runtime, session);
  const all = runtime.store.read((sql) => news.listNewest(sql, 100), []);
  return all
    .filter((row) => row.session === session)
    .flatMap((row) => (row.news.kind === "conflict" ? row.news.text : []))
    .toReversed();
}

const open = readConflicts;

it("both chats learn of a conflict before either commits, once, with file and own lines", async () => {
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

it("shifted lines are no news, and a conflict that was resolved and comes again is", async () => {
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

it("a conflict with what the other has committed is foreseen, and edits by a shell count", async () => {
  const { runtime, a, b, watch, other } = twoChats();
  edit(b, "a.txt", replaced(7, "theirs"));
  commitAll(other, "theirs");
  write(a.cwd, { "a.txt": replaced(7, "mine") });
  a.use("Bash", { command: "sed -i s/7/mine/ a.txt" });
  await watch.check();
  expect(told(runtime, a)).toHaveLength(1);
});

it("nothing is merged for a chat alone, for calls that only read, nor while it is switched off", async () => {
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

it("calls that only plan, ask, fetch or start others are no changes of files, also of a sub-agent", async () => {
  const { a, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  expect(await watch.check()).toBe(1);
  for (const tool of ["TodoWrite", "WebFetch", "WebSearch", "Task", "AskUserQuestion", "BashOutput", "Grep"]) {
    a.use(tool, { description: "look" });
    a.tell("PostToolUse", { tool_name: tool, tool_input: {}, tool_use_id: `of_${tool}`, agent_id: "agent-1" });
  }
  expect(await watch.check()).toBe(0);
  a.use("mcp__files__move", { from: "a.txt" });
  expect(await watch.check()).toBe(1);
});

it.each(["ends", "is killed"])("nobody learns of the conflict of a chat that %s before", async (how) => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  edit(b, "a.txt", replaced(7, "theirs"));
  await watch.check();
  expect(open(runtime)).toHaveLength(1);
  if (how === "ends") b.end();
  else b.kill();
  expect(open(runtime)).toEqual([]);
  expect(a.use("Bash", { command: "npm test" })).toEqual({});
  expect([a.prompt("go on"), a.stop("Done.")]).toEqual([{}, {}]);
  expect(statusText(runtime, a)).not.toContain("conflict");
});

it("nobody learns of a conflict that was resolved before", async () => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  edit(b, "a.txt", replaced(7, "theirs"));
  await watch.check();
  edit(b, "a.txt", base);
  await watch.check();
  expect(a.use("Bash", { command: "npm test" })).toEqual({});
  expect(told(runtime, a)).toEqual([]);
});

it("the news comes with the next tool of a long turn, else with the next prompt, and only once", async () => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  edit(b, "a.txt", replaced(7, "theirs"));
  await watch.check();
  const failed = a.fail("Bash", { command: "npm test" }, "Exit code 1");
  expect(failed.hookSpecificOutput?.additionalContext).toContain("a.txt (your line 7)");
  expect(a.use("Bash", { command: "npm test" })).toEqual({});
  expect(a.prompt("go on")).toEqual({});
  expect(b.prompt("go on").hookSpecificOutput?.additionalContext).toContain("a.txt (your line 7)");
  expect(runtime.logged).toEqual([]);
});

it("of a conflict nothing but paths and line numbers is said", async () => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "password-of-a"));
  edit(b, "a.txt", replaced(7, "password-of-b"));
  await watch.check();
  expect(JSON.stringify([told(runtime, a), told(runtime, b), open(runtime)])).not.toContain("password");
});

it("two chats that edit one work tree learn it once, unless one has reserved files", async () => {
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
  edit(reserved.a, "a.txt", replaced(7, "x"));
  edit(reserved.b, "b.txt", replaced(7, "x"));
  await reserved.watch.check();
  expect(told(reserved.runtime, reserved.b)).toEqual([]);
});

it("a chat that edits in the other's work tree from a folder of its own counts there", async () => {
  const { runtime, a, b, watch, project } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  write(project, { "b.txt": replaced(9, "theirs") });
  b.use("Edit", { file_path: join(project, "b.txt") });
  await watch.check();
  expect(told(runtime, a)).toEqual([expect.stringContaining("edits files in the same work tree")]);
});

it("all chats of a work tree learn once that its branch was switched, and by whose call", async () => {
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

/** The status line as the client of the chat shows it. */
function statusText(runtime: TempRuntime, { session, pid }: Claude): string {
  const own = { ...runtime, env: { ...runtime.env, CLAUDE_PID: String(pid) } };
  return renderStatus(statusOf(own, JSON.stringify({ session_id: session })), runtime.now());
}

it("two chats that edit one file of a folder have a conflict in it, with the time of the later edit", async () => {
  const { runtime, a, b, watch, project, nameOfB } = twoChats({ isShared: true });
  edit(a, "src/a.txt", "mine\n");
  runtime.wait(60_000);
  edit(b, "b.txt", replaced(9, "theirs"));
  await watch.check();
  expect(open(runtime)).toMatchObject([{ kind: "tree", chats: [{ edited: ["src/a.txt"] }, { edited: ["b.txt"] }] }]);
  edit(b, "src/a.txt", "theirs\n");
  runtime.wait(5_000);
  await watch.check();
  expect(open(runtime)).toMatchObject([{ kind: "file", path: "src/a.txt", ageMs: 5_000 }]);
  expect(told(runtime, a)).toEqual([
    `${nameOfB} has edited in ${project} what this chat has edited, too, and it is not committed: src/a.txt. Each may overwrite or commit what the other wrote. What may help: wait for it, ask it by shim_send to "${b.session}", or go on in a work tree of your own.`,
  ]);
  expect(told(runtime, b)).toEqual([expect.stringContaining("same work tree"), expect.stringContaining("src/a.txt")]);
});

it("edits that a commit has taken up, and a file that is as it was committed, are no conflict", async () => {
  const { runtime, a, b, watch, project } = twoChats({ isShared: true });
  const commit = (): void => {
    runtime.wait(1_000);
    const date = `${Math.floor(runtime.now() / 1_000)} +0000`;
    const env = { ...GIT_ENV, GIT_COMMITTER_DATE: date };
    const as = ["-c", "user.name=T", "-c", "user.email=t@localhost"];
    execFileSync("git", ["-C", project, ...as, "commit", "--quiet", "-am", "done"], { env });
    runtime.wait(1_000);
  };
  edit(a, "a.txt", replaced(7, "mine"));
  commit();
  edit(b, "a.txt", replaced(9, "theirs"));
  await watch.check();
  expect(open(runtime).filter(({ kind }) => kind === "file")).toEqual([]);
  edit(a, "a.txt", replaced(11, "mine again"));
  await watch.check();
  expect(open(runtime)).toMatchObject([{ kind: "file", path: "a.txt" }]);
  commit();
  a.use("Bash", { command: "git commit -am done" });
  await watch.check();
  expect(open(runtime).filter(({ kind }) => kind === "file")).toEqual([]);
  edit(a, "b.txt", replaced(1, "x"));
  edit(b, "b.txt", replaced(2, "y"));
  git(project, "checkout", "--", "b.txt");
  await watch.check();
  expect(open(runtime).filter(({ kind }) => kind === "file")).toEqual([]);
});

it("a folder without git counts too, and so does a file that git ignores", async () => {
  const runtime = tempRuntime({ env: GIT_ENV, now });
  const folder = temporaryFolder();
  const a = new Claude(runtime, { cwd: folder });
  const b = anotherClaude(runtime, a, { cwd: folder });
  const watch = new ConflictWatch(runtime);
  for (const chat of [a, b]) chat.start();
  for (const chat of [a, b]) edit(chat, "notes [1].txt", "x\n");
  await watch.check();
  expect(open(runtime)).toMatchObject([{ kind: "file", path: "notes [1].txt" }]);
  const shared = twoChats({ isShared: true });
  write(shared.project, { ".gitignore": ".env\n" });
  for (const chat of [shared.a, shared.b]) edit(chat, ".env", "KEY=1\n");
  await shared.watch.check();
  expect(open(shared.runtime)).toMatchObject([{ kind: "file", path: ".env" }]);
});

it("the user of each chat sees the conflict in the status line while it is open, and a line once", async () => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  edit(b, "a.txt", replaced(7, "theirs"));
  await watch.check();
  expect(statusText(runtime, a)).toContain('conflict in a.txt with "write the lexer"');
  expect(statusText(runtime, b)).toContain('conflict in a.txt with "write the parser"');
  const line = `SHIM: conflict in a.txt (0 s ago): the changes of this chat and of "write the lexer" (chat ${b.session.slice(0, 8)}) of Claude Code do not merge. Let one commit, and the other merge that. \`shim team conflicts\` shows both.`;
  // The end of a turn shows the user a line, and leaves the model alone.
  expect(a.stop("Done.")).toEqual({ systemMessage: line });
  expect(a.prompt("go on").systemMessage).toBeUndefined();
  const both = b.use("Bash", { command: "npm test" });
  expect(both.systemMessage).toContain("conflict in a.txt");
  expect(both.hookSpecificOutput?.additionalContext).toContain("a.txt (your line 7)");
  expect(b.stop("Done.")).toEqual({});
  edit(b, "a.txt", base);
  await watch.check();
  expect(statusText(runtime, a)).not.toContain("conflict");
});

it("a run without a user gets no line, and the model still learns of it", async () => {
  const { runtime, a, b, watch } = twoChats();
  edit(a, "a.txt", replaced(7, "mine"));
  edit(b, "a.txt", replaced(7, "theirs"));
  await watch.check();
  runtime.env["CLAUDE_CODE_ENTRYPOINT"] = "sdk-cli";
  expect(a.use("Bash", { command: "npm test" }).systemMessage).toBeUndefined();
  expect(told(runtime, a)).toHaveLength(1);
});

it("`notify` sends a conflict once, with the file and both chats", async () => {
  const receiver = await aReceiver();
  const { runtime, a, b, watch } = twoChats({ config: { notify: { webhook: receiver.url } } });
  const notifier = new Notifier({ runtime });
  await notifier.checkNow();
  edit(a, "a.txt", replaced(7, "mine"));
  edit(b, "a.txt", replaced(7, "theirs"));
  await watch.check();
  for (let n = 0; n < 2; n++) await notifier.checkNow();
  expect(receiver.bodies).toMatchObject([
    {
      event: "conflict",
      text: 'conflict in a.txt: "write the lexer" and "write the parser" have changed it in ways that do not merge (0 s ago). Let one finish and commit first',
    },
  ]);
});

it("an edit during a comparison of a second is compared within five seconds of the injected clock", async () => {
  const { runtime, a, b } = twoChats();
  let isFirst = true;
  const edited = { at: 0 };
  const startJob: TempRuntime["startJob"] = async ({ input }, signal) => {
    const found = await foreseeConflicts({
      ...(input as ForeseeInput),
      processes: systemProcesses,
      ...(signal && { signal }),
    });
    runtime.wait(1_000);
    if (!isFirst) return found;
    isFirst = false;
    edit(b, "a.txt", replaced(7, "theirs"));
    edited.at = runtime.now();
    return found;
  };
  const machine = new MachineWork({ ...runtime, startJob }, runtime.processes.start(9_000), async (ms) =>
    runtime.wait(ms),
  );
  const found = { at: 0 };
  runtime.store.onCommit(() => {
    machine.noteCommit();
    if (found.at === 0 && open(runtime).length > 0) found.at = runtime.now();
  });
  edit(a, "a.txt", replaced(7, "mine"));
  await vi.waitUntil(() => found.at > 0, patience);
  await machine.stop();
  expect(found.at - edited.at).toBeLessThanOrEqual(5_000);
  expect(statusText(runtime, a)).toContain("conflict in a.txt");
});
