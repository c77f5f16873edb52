import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import { ConflictWatch } from "#src/machine/team/conflict-watch.ts";
import { takeNews } from "#src/machine/team/deliver-news.ts";
import { readConflicts } from "#src/machine/operations/team-handlers.ts";
import { anotherClaude, Claude } from "#harness/machine/claude.ts";
import { git, GIT_ENV, makeProject, write, commitAll } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { reservationReceived } from "#harness/team/team-rows.ts";
import { readdirSync } from "node:fs";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { save, twoMachines, type Two } from "#harness/sync/file-sync.ts";
import type { SyncMachine } from "#harness/sync/sync-machine.ts";

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

/** Names of the operations that this machine's watch has called. */
const asked = ({ world }: Two, { name }: SyncMachine): string[] => world.asked.filter((one) => one.startsWith(name));

/** What foresees conflicts of the chats of a machine that has joined. */
function watchOf({ world }: Two, { runtime, name, edge }: SyncMachine): ConflictWatch {
  const link = { self: null, call: world.call(name) };
  return new ConflictWatch(runtime, () => ({ link, edge, workspace: "team", machine: name }));
}

/** Chat `s2` of the second machine works in the clone. */
async function saveInClone({ two, clone }: Two, text: string): Promise<void> {
  write(clone, { "a.txt": `${text}\n` });
  two.work("s2", text, clone);
  await takePending(two.runtime, ["s2"], new AbortController().signal);
}

async function sync({ one, two }: Two): Promise<void> {
  for (const machine of [one, two, one]) await machine.sync.syncNow();
}

function toldOn({ runtime }: SyncMachine): string[] {
  for (const { id } of runtime.store.read((sql) => [...sessions.listOpen(sql)], [])) takeNews(runtime, id);
  const all = runtime.store.read((sql) => news.listNewest(sql, 100), []);
  return all.flatMap(({ news: row }) => (row.kind === "conflict" ? row.text : [])).toReversed();
}

it("each machine tells its own chat of a conflict with sealed files, once, with machine, age, file and own lines", async () => {
  const both = twoMachines({ config: { sync: { files: true } } });
  const { one, two, project } = both;
  const [first, second] = [watchOf(both, one), watchOf(both, two)];
  await saveInClone(both, "theirs");
  await save(both, "mine");
  await sync(both);
  await both.world.time.pass(120_000);
  expect([await first.check(), await second.check()]).toEqual([0, 1]);
  const rest =
    'will not merge by themselves: a.txt (your line 1). What may help: wait for it, ask it by shim_send to "s1", or merge early.';
  expect(toldOn(two)).toEqual([
    `your changes and those of "mine" (chat s1) in m1:${project}, as it saved its files 2 min ago, ${rest}`,
  ]);
  expect(readConflicts(two.runtime)).toMatchObject([
    { kind: "merge", path: "a.txt", chats: [{ chat: "s2" }, { chat: "s1", root: `m1:${project}`, lines: "1" }] },
  ]);
  await second.check();
  await save(both, "mine, later");
  await sync(both);
  await second.check();
  expect(toldOn(two)).toHaveLength(1);
  // The first machine has heard of no sealed files of the other.
  expect(toldOn(one)).toEqual([]);
});

it("files that did not come are fetched later, and once; a conflict closes when it is resolved or the chat ends", async () => {
  const both = twoMachines();
  const { one, two } = both;
  const watch = watchOf(both, two);
  await saveInClone(both, "theirs");
  await save(both, "mine");
  await sync(both);
  both.world.weather = () => "unreachable";
  await watch.check();
  expect(toldOn(two)).toEqual([]);
  both.world.weather = () => "good";
  await watch.check();
  expect([readConflicts(two.runtime).length, toldOn(two).length]).toEqual([1, 1]);
  const before = asked(both, two).length;
  two.runtime.store.write(() => undefined);
  expect(await watch.check()).toBe(0);
  expect(asked(both, two)).toHaveLength(before);
  await save(both, "theirs");
  await sync(both);
  await watch.check();
  expect(readConflicts(two.runtime)).toEqual([]);
  await both.world.time.pass(60_000);
  await save(both, "mine");
  await sync(both);
  await watch.check();
  expect([readConflicts(two.runtime).length, toldOn(two).length]).toEqual([1, 2]);
  one.end("s1");
  await sync(both);
  expect(readConflicts(two.runtime)).toEqual([]);
  await watch.check();
  expect(readdirSync(join(two.runtime.paths.snapshots, "foreseen.work"))).toEqual([]);
});

it("files on a commit that is not here are not compared, and that is shown until it is here", async () => {
  const both = twoMachines();
  const { two, project, clone } = both;
  const watch = watchOf(both, two);
  write(project, { "other.txt": "pushed\n" });
  commitAll(project, "pushed");
  git(project, "push", "-q", "origin", "HEAD:main");
  git(project, "fetch", "-q");
  await saveInClone(both, "theirs");
  await save(both, "mine");
  await sync(both);
  await watch.check();
  const head = git(project, "rev-parse", "HEAD").trim();
  expect(toldOn(two)).toEqual([]);
  expect(readConflicts(two.runtime)).toMatchObject([
    { kind: "apart", path: `commit ${head} is not here`, chats: [{ chat: "s2" }, { chat: "s1" }] },
  ]);
  git(clone, "fetch", "-q");
  await save(both, "mine, later");
  await sync(both);
  await watch.check();
  expect(readConflicts(two.runtime)).toMatchObject([{ kind: "merge", path: "a.txt" }]);
  expect(toldOn(two)).toHaveLength(1);
});
