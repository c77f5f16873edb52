import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import { readConflicts as open } from "#src/machine/operations/team-handlers.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { ConflictWatch } from "#src/machine/team/conflict-watch.ts";
import { takeNews } from "#src/machine/team/deliver-news.ts";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { anotherClaude, Claude } from "#harness/machine/claude.ts";
import { git, GIT_ENV, makeProject, write } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { save, twoMachines, type Two } from "#harness/sync/sync-machine.ts";
import { reservationReceived } from "#harness/team/team-rig.ts";

const lines = Array.from({ length: 20 }, (_, at) => `line ${at + 1}`);
const base = `${lines.join("\n")}\n`;
const replaced = (at: number, by: string): string => `${lines.with(at - 1, by).join("\n")}\n`;

/** Later than what git notes as the time of the test's own commits. */
const now = 2_000_000_000_000;

/** Chat `a` in a project, and `b` in a second work tree of it or beside `a`. */
function twoChats({ isShared = false } = {}) {
  const { root, project } = makeProject({ "a.txt": base, "b.txt": base });
  const other = join(root, "other");
  git(project, "worktree", "add", "--quiet", "-b", "other", other);
  const runtime = tempRuntime({ env: GIT_ENV, now });
  const a = new Claude(runtime, { cwd: project });
  const b = anotherClaude(runtime, a, { cwd: isShared ? project : other });
  a.start();
  a.prompt("write the parser");
  b.start();
  b.prompt("write the lexer");
  const watch = new ConflictWatch(runtime);
  /** A call of the chat `a` that runs git in the project, at a second of its own. */
  const runGit = (chat: Claude, ...args: string[]): void => {
    const id = chat.begin("Bash", { command: `git ${args.join(" ")}` });
    runtime.clock.now = Math.ceil(runtime.now() / 1_000) * 1_000;
    const env = { ...GIT_ENV, GIT_COMMITTER_DATE: `${runtime.now() / 1_000} +0000` };
    const as = ["-c", "user.name=T", "-c", "user.email=t@localhost"];
    execFileSync("git", ["-C", project, ...as, ...args], { env, stdio: "ignore" });
    chat.done(id, "Bash", { command: `git ${args.join(" ")}` });
  };
  return { runtime, a, b, project, other, watch, runGit, nameOfB: `"write the lexer" (chat ${b.session.slice(0, 8)})` };
}

function edit(chat: Claude, path: string, content: string): void {
  write(chat.cwd, { [path]: content });
  chat.use("Edit", { file_path: join(chat.cwd, path) });
}

/** Two chats whose edits of one line do not merge, which is known. */
async function inConflict() {
  const both = twoChats();
  edit(both.a, "a.txt", replaced(7, "mine"));
  expect(await both.watch.check()).toBe(1);
  expect(heard(both.runtime)).toEqual([]);
  edit(both.b, "a.txt", `new\n${replaced(7, "password-of-b")}`);
  await both.watch.check();
  return both;
}

/** News of conflicts that the chat, or any one, has been given by now, oldest first. */
function heard(runtime: TempRuntime, chat?: Claude): string[] {
  const ids = chat ? [chat.session] : runtime.store.read((sql) => [...sessions.listOpen(sql)], []).map(({ id }) => id);
  for (const id of ids) takeNews(runtime, id);
  return runtime.store
    .read((sql) => news.listNewest(sql, 100), [])
    .flatMap((row) => (ids.includes(row.session) && row.news.kind === "conflict" ? row.news.text : []))
    .toReversed();
}

/** The status line as the client of the chat shows it. */
function statusText(runtime: TempRuntime, { session, pid }: Claude): string {
  const own = { ...runtime, env: { ...runtime.env, CLAUDE_PID: String(pid) } };
  return renderStatus(statusOf(own, JSON.stringify({ session_id: session })), runtime.now());
}

it("both chats learn of a conflict before either commits, once, with file and own lines and nothing of the content", async () => {
  const { runtime, a, b, watch, other, nameOfB } = await inConflict();
  const rest = `will not merge by themselves: a.txt (your line 7). What may help: wait for it, ask it by shim_send to "${b.session}", or merge early.`;
  expect(heard(runtime, a)).toEqual([`your changes and those of ${nameOfB} in ${other} ${rest}`]);
  expect(heard(runtime, b)).toEqual([expect.stringContaining("a.txt (your line 8)")]);
  edit(a, "a.txt", replaced(7, "mine, later"));
  await watch.check();
  expect([heard(runtime, a).length, heard(runtime, b).length]).toEqual([1, 1]);
  expect(JSON.stringify([heard(runtime), open(runtime)])).not.toContain("password");
});

it.each(["ends", "is killed"])("no chat learns of the conflict of one that %s before", async (how) => {
  const { runtime, a, b } = await inConflict();
  expect(open(runtime)).toHaveLength(1);
  if (how === "ends") b.end();
  else b.kill();
  expect(open(runtime)).toEqual([]);
  expect([a.use("Bash", { command: "npm test" }), a.prompt("go on"), a.stop("Done.")]).toEqual([{}, {}, {}]);
  expect(statusText(runtime, a)).not.toContain("conflict");
});

it("the news comes with the next tool of a long turn, else with the next prompt, and only once", async () => {
  const { runtime, a, b } = await inConflict();
  const failed = a.fail("Bash", { command: "npm test" }, "Exit code 1");
  expect(failed.hookSpecificOutput?.additionalContext).toContain("a.txt (your line 7)");
  expect([a.use("Bash", { command: "npm test" }), a.prompt("go on")]).toEqual([{}, {}]);
  expect(b.prompt("go on").hookSpecificOutput?.additionalContext).toContain("a.txt (your line 8)");
  expect(runtime.logged).toEqual([]);
});

it("the user of each chat sees the conflict in the status line while it is open, and a line once", async () => {
  const { runtime, a, b, watch } = await inConflict();
  expect(statusText(runtime, a)).toContain('conflict in a.txt with "write the lexer"');
  expect(statusText(runtime, b)).toContain('conflict in a.txt with "write the parser"');
  // The end of a turn shows the user a line, and leaves the model alone.
  const systemMessage = expect.stringMatching(
    /^SHIM: conflict in a\.txt .*`shim team conflicts` shows both\.$/,
  ) as string;
  expect(a.stop("Done.")).toEqual({ systemMessage });
  expect(a.prompt("go on").systemMessage).toBeUndefined();
  const both = b.use("Bash", { command: "npm test" });
  expect(both.systemMessage).toContain("conflict in a.txt");
  expect(both.hookSpecificOutput?.additionalContext).toContain("a.txt (your line 8)");
  expect(b.stop("Done.")).toEqual({});
  edit(b, "a.txt", base);
  await watch.check();
  expect(statusText(runtime, a)).not.toContain("conflict");
});

it("two chats that edit one work tree learn it once, unless one has reserved files", async () => {
  const { runtime, a, b, watch, project, nameOfB } = twoChats({ isShared: true });
  edit(a, "a.txt", replaced(7, "mine"));
  await watch.check();
  expect(heard(runtime, a)).toEqual([]);
  for (const text of ["theirs", "more"]) {
    edit(b, "b.txt", replaced(9, text));
    await watch.check();
  }
  const what = `${nameOfB} edits files in the same work tree ${project} as this chat`;
  expect(heard(runtime, a)).toEqual([expect.stringContaining(what)]);
  expect([heard(runtime, a)[0], heard(runtime, b).length]).toEqual([
    expect.stringContaining("its newest edit: b.txt"),
    1,
  ]);
  expect(open(runtime)).toMatchObject([{ kind: "tree", path: project }]);
  const reserved = twoChats({ isShared: true });
  reservationReceived(reserved.runtime, { holder: reserved.a.session });
  edit(reserved.a, "a.txt", replaced(7, "x"));
  edit(reserved.b, "b.txt", replaced(7, "x"));
  await reserved.watch.check();
  expect(heard(reserved.runtime, reserved.b)).toEqual([]);
});

it("all chats of a work tree learn once that its branch was switched, and by whose call", async () => {
  const { runtime, a, b, watch, project, runGit } = twoChats({ isShared: true });
  runGit(a, "switch", "-c", "feature");
  await watch.check();
  b.use("Bash", { command: "ls" });
  await watch.check();
  const what = `the branch of the work tree ${project} went from main to feature`;
  const by = `while a call of "write the parser" (chat ${a.session.slice(0, 8)}) ran.`;
  expect(heard(runtime, b)).toEqual([expect.stringContaining(`${what} ${by}`)]);
  expect(heard(runtime, a)).toEqual([expect.stringContaining(`${what} while a call of this chat ran`)]);
});

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
  const what = `${nameOfB} has edited in ${project} what this chat has edited, too, and it is not committed: src/a.txt.`;
  expect(heard(runtime, a)).toEqual([expect.stringContaining(what)]);
  expect(heard(runtime, b)).toEqual([expect.stringContaining("same work tree"), expect.stringContaining("src/a.txt")]);
});

it("edits that a commit has taken up, and a file that is as it was committed, are no conflict", async () => {
  const { runtime, a, b, watch, project, runGit } = twoChats({ isShared: true });
  const files = async (): Promise<string[]> => {
    await watch.check();
    return open(runtime).flatMap(({ kind, path }) => (kind === "file" ? [path] : []));
  };
  const commit = (): void => {
    runtime.wait(1_000);
    runGit(a, "commit", "--quiet", "-am", "done");
    runtime.wait(1_000);
  };
  edit(a, "a.txt", replaced(7, "mine"));
  commit();
  edit(b, "a.txt", replaced(9, "theirs"));
  expect(await files()).toEqual([]);
  edit(a, "a.txt", replaced(11, "mine again"));
  expect(await files()).toEqual(["a.txt"]);
  commit();
  expect(await files()).toEqual([]);
  edit(a, "b.txt", replaced(1, "x"));
  edit(b, "b.txt", replaced(2, "y"));
  git(project, "checkout", "--", "b.txt");
  expect(await files()).toEqual([]);
});

/** Two machines, of which the second foresees conflicts of its chat in the clone. */
async function twoInSync() {
  const both = twoMachines({ config: { sync: { files: true } } });
  const { world, one, two, clone } = both;
  const watchOf = ({ runtime, name, edge }: Two["one"]): ConflictWatch =>
    new ConflictWatch(runtime, () => ({
      link: { self: null, call: world.call(name) },
      edge,
      workspace: "team",
      machine: name,
    }));
  write(clone, { "a.txt": "theirs\n" });
  two.work("s2", "theirs", clone);
  await takePending(two.runtime, ["s2"], new AbortController().signal);
  const saveAndSync = async (text: string): Promise<void> => {
    await save(both, text);
    for (const machine of [one, two, one]) await machine.sync.syncNow();
  };
  await saveAndSync("mine");
  const asked = (): number => world.asked.filter((name) => name.startsWith(two.name)).length;
  return { ...both, watch: watchOf(two), first: watchOf(one), saveAndSync, asked };
}

it("each machine tells its own chat of a conflict with sealed files, once, with machine, age, file and own lines", async () => {
  const { world, one, two, project, watch, first, saveAndSync } = await twoInSync();
  await world.time.pass(120_000);
  expect([await first.check(), await watch.check()]).toEqual([0, 1]);
  const rest =
    'will not merge by themselves: a.txt (your line 1). What may help: wait for it, ask it by shim_send to "s1", or merge early.';
  const from = `those of "mine" (chat s1) in m1:${project}, as it saved its files 2 min ago,`;
  expect(heard(two.runtime)).toEqual([`your changes and ${from} ${rest}`]);
  const chats = [{ chat: "s2" }, { chat: "s1", root: `m1:${project}`, lines: "1" }];
  expect(open(two.runtime)).toMatchObject([{ kind: "merge", path: "a.txt", chats }]);
  await saveAndSync("mine, later");
  await watch.check();
  expect(heard(two.runtime)).toHaveLength(1);
  // The first machine has heard of no sealed files of the other.
  expect(heard(one.runtime)).toEqual([]);
});

it("files that did not come are fetched later, and once; a conflict closes when it is resolved or the chat ends", async () => {
  const { world, one, two, watch, saveAndSync, asked } = await twoInSync();
  const counts = async (): Promise<[open: number, heard: number]> => {
    await watch.check();
    return [open(two.runtime).length, heard(two.runtime).length];
  };
  world.weather = () => "unreachable";
  expect(await counts()).toEqual([0, 0]);
  world.weather = () => "good";
  expect(await counts()).toEqual([1, 1]);
  const before = asked();
  two.runtime.store.write(() => undefined);
  expect([await watch.check(), asked()]).toEqual([0, before]);
  await saveAndSync("theirs");
  expect(await counts()).toEqual([0, 1]);
  await world.time.pass(60_000);
  await saveAndSync("mine");
  expect(await counts()).toEqual([1, 2]);
  one.end("s1");
  for (const machine of [one, two]) await machine.sync.syncNow();
  expect(await counts()).toEqual([0, 2]);
  expect(readdirSync(join(two.runtime.paths.snapshots, "foreseen.work"))).toEqual([]);
});
