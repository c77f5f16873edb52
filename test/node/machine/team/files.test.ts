import * as fc from "fast-check";
import * as files from "#src/machine/sessions/reservation-table.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { mkdirSync, symlinkSync, writeFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { overlap } from "#src/contract/resource-paths.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { pause } from "#src/store/pause.ts";
import type { Connection, OpenOptions } from "#src/store/driver.ts";
import { aProject, anotherClaude, Claude, type Printed, aChat } from "#harness/machine/claude.ts";
import { reservationReceived, joinTeam } from "#harness/team/team-rig.ts";
import { type TempRuntimeOptions, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { execFileSync } from "node:child_process";
import { renderStatus } from "#src/machine/view/status-text.ts";
import { statusOf } from "#src/machine/view/status-line.ts";
import { readConflicts as open } from "#src/machine/team/operations/team-handlers.ts";
import { ConflictWatch } from "#src/machine/team/conflict-watch.ts";
import { takeNews } from "#src/machine/team/deliver-news.ts";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { foldCase, git, GIT_ENV, makeProject, write } from "#harness/machine/git-project.ts";
import { save, twoMachines, type Two } from "#harness/sync/sync-machine.ts";

/** Chat `a` edits; chat `b` has reserved, in the same checkout unless another folder is given. */
function aTeam({ folderOfB, ...options }: TempRuntimeOptions & { readonly folderOfB?: string } = {}) {
  const { runtime, claude: a } = aChat(options);
  const b = anotherClaude(runtime, a, { cwd: folderOfB ?? a.cwd });
  for (const chat of [a, b]) {
    chat.start();
    joinTeam(runtime, chat);
  }
  const reserve = (path: string): void =>
    reservationReceived(runtime, { resource: `file:parser/${path}`, holder: b.session, machine: "here" });
  return { runtime, a, b, reserve, path: (...names: string[]) => join(a.cwd, ...names) };
}

let calls = 0;

function edit(chat: Claude, path: string, tool = "Edit"): Printed {
  const name = tool === "NotebookEdit" ? "notebook_path" : "file_path";
  const fields = { tool_name: tool, tool_input: { [name]: path }, tool_use_id: `toolu_${(calls += 1)}` };
  return chat.tell("PreToolUse", fields);
}

const isRefused = ({ hookSpecificOutput }: Printed): boolean => hookSpecificOutput?.permissionDecision === "deny";

it("an edit of a file that a living chat has reserved in the same checkout is refused: by whom, since when", () => {
  const { runtime, a, b, reserve, path } = aTeam();
  reserve("src/**");
  runtime.wait(300_000);
  const { hookSpecificOutput, systemMessage } = edit(a, path("src", "lexer.ts"));
  expect(systemMessage).toBeUndefined();
  expect(hookSpecificOutput).toEqual({
    hookEventName: "PreToolUse",
    permissionDecision: "deny",
    permissionDecisionReason: `SHIM: src/lexer.ts is reserved in this checkout by "write the lexer" (chat ${b.session.slice(0, 13)}), since 5 min (src/**). Do not edit it by other means, either. Ask with shim_send to "${b.session}"; shim_files list shows what is reserved.`,
  });
});

it("an edit that is refused is recorded as one that SHIM did not let run", () => {
  const { runtime, a, reserve, path } = aTeam();
  reserve("one.ts");
  edit(a, path("one.ts"));
  const rows = runtime.store.read((sql) => journal.list(sql, a.session, 0), []);
  expect(rows.at(-1)?.entry).toMatchObject({ kind: "tool_error", name: "Edit", isRefused: true });
});

it("all tools that write a file are checked, others are not; its holder edits it", () => {
  const { a, b, reserve, path } = aTeam();
  reserve("one.ts");
  for (const tool of ["Edit", "MultiEdit", "Write", "NotebookEdit"])
    expect(isRefused(edit(a, path("one.ts"), tool))).toBe(true);
  for (const tool of ["Read", "Bash", "mcp__other__Edit"]) expect(edit(a, path("one.ts"), tool)).toEqual({});
  expect([edit(b, path("one.ts")), edit(a, path("two.ts")), edit(a, "/elsewhere/one.ts")]).toEqual([{}, {}, {}]);
});

it("for any path that a tool is given the hook refuses nothing that it cannot determine", () => {
  const { runtime, a, reserve } = aTeam();
  reserve("**");
  const anything = fc.anything({ withNullPrototype: false });
  const given = fc.oneof(anything, fc.record({ file_path: fc.oneof(fc.string(), fc.jsonValue()) }));
  const property = fc.property(given, (tool_input) => {
    const call = { tool_name: "Edit", tool_input, tool_use_id: `t${(calls += 1)}`, cwd: "/" };
    expect(a.tell("PreToolUse", call)).toEqual({});
  });
  fc.assert(property, { numRuns: 50 });
  expect(runtime.logged.join()).not.toContain("TypeError");
});

it("a reservation counts for a file, for the files of a folder, or for all below it: as the coordinator sees it", () => {
  const { runtime, a, reserve, path: pathOf } = aTeam();
  const part = fc.constantFrom("a", "b", "c.ts");
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  const pattern = fc.tuple(path, fc.constantFrom("", "/*", "/**")).map((parts) => parts.join(""));
  const property = fc.property(path, pattern, (file, reserved) => {
    runtime.store.write((sql) => files.replaceAll(sql, runtime.now(), []));
    reserve(reserved);
    const isOverlap = overlap(`file:parser/${file}`, `file:parser/${reserved}`);
    expect(isRefused(edit(a, pathOf(file)))).toBe(isOverlap);
  });
  fc.assert(property, { numRuns: 60 });
});

it("a file belongs to its work tree, not to the one in which the chat works: links, relative paths, files yet to be made", () => {
  const { runtime, a, b, reserve, path } = aTeam();
  reserve("src/new/**");
  const link = join(aProject(), "link");
  symlinkSync(a.cwd, link);
  mkdirSync(path("src"));
  const files = ["src/new/a.ts", join(link, "src", "new", "a.ts"), path("lib", "..", "src", "new", "x", "y.ts")];
  for (const file of files) expect(isRefused(edit(a, file)), file).toBe(true);
  const outsider = anotherClaude(runtime, b, { cwd: aProject(), session: "c-session" });
  outsider.start();
  joinTeam(runtime, outsider, "other");
  expect(isRefused(edit(outsider, path("src", "new", "a.ts")))).toBe(true);
  expect(edit(outsider, join(outsider.cwd, "src", "new", "a.ts"))).toEqual({});
});

it("the names of one file have one reservation: composed or not, and in each case where the file system counts none", () => {
  const { a, reserve, path } = aTeam();
  for (const name of ["New.ts", "\u00FCber.ts", "src/**"]) reserve(name);
  expect(isRefused(edit(a, path("u\u0308ber.ts")))).toBe(true);
  const names = ["new.ts", "\u00DCBER.ts", join("SRC", "a.ts")];
  expect(names.map((name) => isRefused(edit(a, path(name))))).toEqual([false, false, false]);
  foldCase(a.cwd);
  expect(names.map((name) => isRefused(edit(a, path(name))))).toEqual([true, true, true]);
  expect(isRefused(edit(a, path("other.ts")))).toBe(false);
});

it("a linked work tree in which no chat has been is of the project that it was made from", () => {
  const { a, reserve, path } = aTeam();
  reserve("one.ts");
  // As `git worktree add` leaves it.
  const [tree, own] = [join(aProject(), "linked"), path(".git", "worktrees", "linked")];
  for (const folder of [tree, own]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(own, "commondir"), "../..\n");
  writeFileSync(join(tree, ".git"), `gitdir: ${own}\n`);
  expect(edit(a, join(tree, "one.ts")).systemMessage).toContain("in another checkout");
  expect(edit(a, join(tree, "two.ts"))).toEqual({});
});

it("in another checkout the chat is warned, and the edit is allowed: once an hour for each holder and file", () => {
  const { runtime, a, reserve, path } = aTeam({ folderOfB: aProject() });
  reserve("src/*");
  const warned = (name: string): boolean => edit(a, path("src", name)).systemMessage !== undefined;
  const { systemMessage: line, hookSpecificOutput } = edit(a, path("src", "one.ts"));
  expect(line).toMatch(/^SHIM: src\/one.ts is reserved in another checkout \("here"\) by .*The edit is allowed/);
  expect(hookSpecificOutput).toEqual({ hookEventName: "PreToolUse", additionalContext: line });
  expect(["one.ts", "two.ts"].map(warned)).toEqual([false, true]);
  runtime.wait(3_590_000);
  expect(warned("one.ts")).toBe(false);
  runtime.wait(10_000);
  expect(warned("one.ts")).toBe(true);
  const strict = aTeam({ folderOfB: aProject(), config: { team: { strictFiles: true } } });
  strict.reserve("one.ts");
  for (let round = 0; round < 2; round++) expect(isRefused(edit(strict.a, strict.path("one.ts")))).toBe(true);
});

it("a holder that is proved dead has reserved nothing, also when its number is in use; one out of sight counts as alive", () => {
  const { runtime, a, b, reserve, path } = aTeam();
  reserve("one.ts");
  b.kill();
  expect(edit(a, path("one.ts"))).toEqual({});
  runtime.processes.start(b.pid);
  expect(edit(a, path("one.ts"))).toEqual({});
  const far = '["boot-1 pid:[2]",77,"100"]';
  runtime.store.write((sql) => sql.run("UPDATE team_chats SET process = ? WHERE session = ?", far, b.session));
  expect(isRefused(edit(a, path("one.ts")))).toBe(true);
});

it.each(["SQLITE_BUSY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "none of SQLite's"])(
  "while writes fail with %s a reserved file is guarded, also beside rows of a dead chat, and a warning is given",
  (code) => {
    const disk = { isBroken: false };
    const driver = (options: OpenOptions): Connection => {
      const connection = openBetterSqlite3(options);
      const run: Connection["run"] = (query, ...values) => {
        // Only a transaction that reads can begin and end.
        if (disk.isBroken && !["BEGIN", "COMMIT", "ROLLBACK"].includes(query))
          throw Object.assign(new Error("refused"), { code });
        return connection.run(query, ...values);
      };
      return { ...connection, run };
    };
    const { runtime, a, b, reserve, path } = aTeam({ driver, busyMs: 10 });
    const dead = anotherClaude(runtime, a, { session: "c-session", pid: 3_000 });
    dead.start();
    joinTeam(runtime, dead);
    reservationReceived(runtime, { resource: "file:parser/src/*", holder: dead.session, machine: "here" });
    reservationReceived(runtime, { resource: "file:parser/far.ts", checkout: "9d1f" });
    reserve("src/**");
    dead.kill();
    disk.isBroken = true;
    expect(isRefused(edit(a, path("src", "lexer.ts")))).toBe(true);
    expect(edit(a, path("far.ts")).systemMessage).toContain('another checkout ("other-machine")');
    expect(edit(a, path("free.ts"))).toEqual({});
    b.kill();
    expect(edit(a, path("src", "lexer.ts"))).toEqual({});
    disk.isBroken = false;
  },
);

const lines = Array.from({ length: 20 }, (_, at) => `line ${at + 1}`);
const base = `${lines.join("\n")}\n`;
const replaced = (at: number, by: string): string => `${lines.with(at - 1, by).join("\n")}\n`;

/** Later than what git notes as the time of the test's own commits. */
const now = 2_000_000_000_000;

/** Chat `a` in a project, and `b` in a second work tree of it or beside `a`. */
function twoChats({ isShared = false, config = {} } = {}) {
  const { root, project } = makeProject({ "a.txt": base, "b.txt": base });
  const other = join(root, "other");
  git(project, "worktree", "add", "--quiet", "-b", "other", other);
  const runtime = tempRuntime({ env: GIT_ENV, now, config });
  const a = new Claude(runtime, { cwd: project });
  const b = anotherClaude(runtime, a, { cwd: isShared ? project : other });
  for (const chat of [a, b]) chat.start();
  a.prompt("write the parser");
  b.prompt("write the lexer");
  const watch = new ConflictWatch(runtime);
  /** A call of the chat `a` that runs git in the project, at a second of its own. */
  const runGit = (chat: Claude, ...args: string[]): void => {
    const call = { command: `git ${args.join(" ")}` };
    const id = chat.begin("Bash", call);
    runtime.clock.now = Math.ceil(runtime.now() / 1_000) * 1_000;
    const env = { ...GIT_ENV, GIT_COMMITTER_DATE: `${runtime.now() / 1_000} +0000` };
    const as = ["-c", "user.name=T", "-c", "user.email=t@localhost"];
    execFileSync("git", ["-C", project, ...as, ...args], { env, stdio: "ignore" });
    chat.done(id, "Bash", call);
  };
  return { runtime, a, b, project, other, watch, runGit, nameOfB: `"write the lexer" (chat ${b.session.slice(0, 8)})` };
}

function editFile(chat: Claude, path: string, content: string): void {
  write(chat.cwd, { [path]: content });
  chat.use("Edit", { file_path: join(chat.cwd, path) });
}

/** Two chats whose edits of one line do not merge, which is known. */
async function inConflict() {
  const both = twoChats();
  editFile(both.a, "a.txt", replaced(7, "mine"));
  expect(await both.watch.check()).toBe(1);
  expect(heard(both.runtime)).toEqual([]);
  editFile(both.b, "a.txt", `new\n${replaced(7, "password-of-b")}`);
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

function statusText(runtime: TempRuntime, { session, pid }: Claude): string {
  const own = { ...runtime, env: { ...runtime.env, CLAUDE_PID: String(pid) } };
  return renderStatus(statusOf(own, JSON.stringify({ session_id: session })), runtime.now());
}

it("both chats learn of a conflict before either commits, once, with file and own lines and nothing of the content", async () => {
  const { runtime, a, b, watch, other, nameOfB } = await inConflict();
  const rest = `will not merge by themselves: a.txt (your line 7). What may help: wait for it, ask it by shim_send to "${b.session}", or merge early.`;
  expect(heard(runtime, a)).toEqual([`your changes and those of ${nameOfB} in ${other} ${rest}`]);
  expect(heard(runtime, b)).toEqual([expect.stringContaining("a.txt (your line 8)")]);
  editFile(a, "a.txt", replaced(7, "mine, later"));
  await watch.check();
  expect([heard(runtime, a).length, heard(runtime, b).length]).toEqual([1, 1]);
  a.use("Read", { file_path: join(a.cwd, "a.txt") });
  expect(await watch.check()).toBe(0);
  expect(JSON.stringify([heard(runtime), open(runtime)])).not.toContain("password");
  runtime.store.write((sql) => pause(sql, runtime.now(), null, other));
  runtime.wait(1);
  editFile(a, "a.txt", replaced(7, "mine, last"));
  expect([await watch.check(), open(runtime)]).toEqual([0, []]);
  const off = twoChats({ config: { team: { conflicts: false } } });
  const paused = twoChats();
  paused.runtime.store.write((sql) => pause(sql, paused.runtime.now(), null, paused.other));
  paused.runtime.wait(1);
  for (const none of [off, paused]) {
    for (const chat of [none.a, none.b]) editFile(chat, "a.txt", replaced(7, chat.session));
    expect([await none.watch.check(), open(none.runtime)]).toEqual([0, []]);
  }
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

it("the conflict is in the status line while it is open; the user is shown a line and the model the news, once", async () => {
  const { runtime, a, b, watch } = await inConflict();
  expect(statusText(runtime, a)).toContain('conflict in a.txt with "write the lexer"');
  // The end of a turn shows the user a line, and leaves the model alone.
  const systemMessage = expect.stringMatching(/^SHIM: conflict in a\.txt .*`shim team conflicts` shows both/) as string;
  expect(a.stop("Done.")).toEqual({ systemMessage });
  const { hookSpecificOutput, ...user } = a.prompt("go on");
  expect([hookSpecificOutput?.additionalContext, user]).toEqual([expect.stringContaining("(your line 7)"), {}]);
  const failed = b.fail("Bash", { command: "npm test" }, "Exit code 1");
  expect(failed.systemMessage).toContain("conflict in a.txt");
  expect(failed.hookSpecificOutput?.additionalContext).toContain("a.txt (your line 8)");
  expect([b.use("Bash", { command: "npm test" }), b.stop("Done.")]).toEqual([{}, {}]);
  editFile(b, "a.txt", base);
  await watch.check();
  expect(statusText(runtime, a)).not.toContain("conflict");
});

it("two chats that edit one work tree learn it once, unless one has reserved files", async () => {
  const { runtime, a, b, watch, project, nameOfB } = twoChats({ isShared: true });
  editFile(a, "a.txt", replaced(7, "mine"));
  await watch.check();
  expect(heard(runtime, a)).toEqual([]);
  for (const text of ["theirs", "more"]) {
    editFile(b, "b.txt", replaced(9, text));
    await watch.check();
  }
  const what = `${nameOfB} edits files in the same work tree ${project} as this chat`;
  const [text, ...others] = heard(runtime, a);
  expect([text, others]).toEqual([expect.stringContaining(what), []]);
  expect(text).toContain("its newest edit: b.txt");
  expect(heard(runtime, b)).toHaveLength(1);
  expect(open(runtime)).toMatchObject([{ kind: "tree", path: project }]);
  const reserved = twoChats({ isShared: true });
  reservationReceived(reserved.runtime, { holder: reserved.a.session });
  editFile(reserved.a, "a.txt", replaced(7, "x"));
  editFile(reserved.b, "b.txt", replaced(7, "x"));
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
  editFile(a, "src/a.txt", "mine\n");
  runtime.wait(60_000);
  editFile(b, "b.txt", replaced(9, "theirs"));
  await watch.check();
  expect(open(runtime)).toMatchObject([{ kind: "tree", chats: [{ edited: ["src/a.txt"] }, { edited: ["b.txt"] }] }]);
  editFile(b, "src/a.txt", "theirs\n");
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
  editFile(a, "a.txt", replaced(7, "mine"));
  commit();
  editFile(b, "a.txt", replaced(9, "theirs"));
  expect(await files()).toEqual([]);
  editFile(a, "a.txt", replaced(11, "mine again"));
  expect(await files()).toEqual(["a.txt"]);
  commit();
  expect(await files()).toEqual([]);
  editFile(a, "b.txt", replaced(1, "x"));
  editFile(b, "b.txt", replaced(2, "y"));
  git(project, "checkout", "--", "b.txt");
  expect(await files()).toEqual([]);
});

/** Two machines, of which the second foresees conflicts of its chat in the clone. */
async function twoInSync() {
  const both = twoMachines({ config: { sync: { files: true } } });
  const { world, one, two, clone } = both;
  const watchOf = ({ runtime, name: machine, edge }: Two["one"]): ConflictWatch => {
    const link = { self: null, call: world.call(machine) };
    return new ConflictWatch(runtime, () => ({ link, edge, workspace: "team", machine }));
  };
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
