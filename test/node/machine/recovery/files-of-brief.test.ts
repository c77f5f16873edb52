import { renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { capture } from "#src/machine/checkpoints/capture.ts";
import { changesIn } from "#src/snapshots/changed-files.ts";
import { listedFiles } from "#src/machine/recovery/brief/brief-files.ts";
import { restore } from "#src/machine/recovery/incomplete/restoration.ts";
import { aProject, anotherClaude, storedSession, aChat } from "#harness/machine/claude.ts";
import { git } from "#harness/machine/git-project.ts";
import { aChatInRepository, aRepository, briefAfter } from "#harness/machine/chat-in-repository.ts";
import { T0 } from "#harness/machine/temp-runtime.ts";

it("files that changed by any means are named by their path in the project, newest first; the rest in two lines @night", () => {
  const { runtime, claude, path } = aChatInRepository();
  claude.start();
  claude.prompt("Tidy up the files");
  for (const name of ["done.txt", "open.txt", "edited-later.txt"]) claude.write(path(name), name);
  claude.use("Read", { file_path: path("kept.txt") }, {});
  git(claude.cwd, "add", "done.txt");
  git(claude.cwd, "commit", "-q", "-m", "two");
  writeFileSync(path("gen.txt"), "by a command");
  claude.use("Bash", { command: "make gen.txt" });
  claude.kill();
  writeFileSync(path("edited-later.txt"), "by hand, after its death");
  const brief = briefAfter(runtime, claude);
  expect(brief).toMatch(/files, newest first \([^\n]*\):\n- edited-later\.txt \(created\): CHANGED/);
  expect(brief).toContain("- gen.txt (by a command or by hand): not verified");
  expect(brief).toContain("- open.txt (created): ");
  expect(brief).toContain("- committed or unchanged, by git: done.txt\n- read: kept.txt\n");
  for (const name of ["before.txt", "old.txt"]) expect(brief).not.toContain(name);
});

it("a file that is there again when its deletion is reported is not deleted", () => {
  const { runtime, claude, path } = aChatInRepository();
  claude.start();
  claude.prompt("Generate it anew");
  claude.write(path("generated.txt"), "old");
  writeFileSync(path("generated.txt"), "new");
  claude.use("Edit", { file_path: path("generated.txt") }, { type: "delete" });
  claude.kill();
  expect(briefAfter(runtime, claude)).toContain("- generated.txt (deleted): there AGAIN\n");
});

it("a file that the chat removed or moved is deleted, as the chat left it, not unchanged", () => {
  const { runtime, claude, path } = aChatInRepository();
  claude.start();
  claude.prompt("Tidy up the files");
  for (const name of ["gone.txt", "before-move.txt", "back.txt"]) claude.write(path(name), name);
  rmSync(path("gone.txt"));
  rmSync(path("back.txt"));
  renameSync(path("before-move.txt"), path("after-move.txt"));
  claude.use("Bash", { command: "rm gone.txt" });
  claude.stop();
  claude.kill();
  writeFileSync(path("back.txt"), "by hand, after its death");
  const brief = briefAfter(runtime, claude);
  for (const name of ["gone.txt", "before-move.txt"])
    expect(brief).toContain(`- ${name} (created): deleted, as the chat left it`);
  expect(brief).toContain("- after-move.txt (by a command or by hand): not verified");
  expect(brief).toContain("- back.txt (created): CHANGED");
  expect(brief).not.toContain("unchanged since");
});

it("a file that was committed in the session and then removed by a command is in one place @night", () => {
  const { runtime, claude, path } = aChatInRepository();
  claude.start();
  claude.prompt("Tidy up the files");
  writeFileSync(path("s.txt"), "by a command");
  git(claude.cwd, "add", "s.txt");
  git(claude.cwd, "commit", "-q", "-m", "two");
  rmSync(path("s.txt"));
  claude.use("Bash", { command: "make s.txt; git commit; rm s.txt" });
  claude.kill();
  const from = restore(runtime, storedSession(runtime, claude.session));
  expect(from?.files.map(({ path: of, now }) => [of, now])).toEqual([[path("s.txt"), "deleted"]]);
  expect(from && listedFiles(from).map(({ path: of }) => of)).toEqual([path("s.txt")]);
});

it("an edit by hand shows although no checkpoint had hashed the file, and what the chat left is said to be so", () => {
  const checkpoint = { everyToolCalls: 1_000, everyMs: 86_400_000 };
  const { runtime, claude } = aChat({ config: { checkpoint, snapshots: { isEnabled: false } } });
  claude.turn("write two files");
  claude.prompt("go on with these");
  claude.write(join(claude.cwd, "mine.txt"), "mine");
  claude.write(join(claude.cwd, "theirs.txt"), "mine");
  claude.kill();
  writeFileSync(join(claude.cwd, "theirs.txt"), "theirs, and longer");
  const brief = briefAfter(runtime, claude);
  expect(brief).toContain("- theirs.txt (created): CHANGED");
  expect(brief).toContain("- mine.txt (created): as the chat left it, by size and time");
});

it("where git gives no answer, or there is none, the brief does without", () => {
  const from = { project: aProject(), commit: null, knownHead: null, startedAt: T0, edited: [] };
  expect(changesIn({}, from)).toBeNull();
  expect(changesIn({ PATH: "/nonexistent" }, { ...from, project: aRepository() })).toBeNull();
});

it("what was changed before the session is not its own, and nothing is written", () => {
  const project = aRepository();
  writeFileSync(join(project, "new.txt"), "new");
  const index = statSync(join(project, ".git", "index")).mtimeMs;
  const changes = changesIn(process.env, {
    project,
    commit: null,
    knownHead: null,
    startedAt: T0,
    edited: [join(project, "kept.txt")],
  });
  expect(changes?.open.map(({ path }) => path)).toEqual([join(project, "new.txt")]);
  expect([...(changes?.clean ?? [])]).toEqual([join(project, "kept.txt")]);
  expect(statSync(join(project, ".git", "index")).mtimeMs).toBe(index);
});

it("a file that was only read, and changed by a command or by hand, is named as changed", () => {
  const { runtime, claude, path } = aChatInRepository();
  claude.prompt("Tidy up the files");
  for (const name of ["old.txt", "kept.txt"]) claude.use("Read", { file_path: path(name) }, {});
  writeFileSync(path("old.txt"), "by a command, and longer");
  claude.use("Bash", { command: "tidy old.txt" });
  const brief = briefAfter(runtime, claude);
  expect(brief).toContain("- old.txt (by a command or by hand): ");
  expect(brief).not.toContain("- kept.txt");
});

it("what another chat of the project has edited is not named as a change of this one", () => {
  const { runtime, claude, path } = aChatInRepository(Date.now());
  const other = anotherClaude(runtime, claude);
  claude.start();
  claude.prompt("Tidy up the files");
  other.start();
  other.prompt("Write the songs");
  for (const [chat, name] of [
    [claude, "mine.txt"],
    [other, "song.txt"],
    [claude, "both.txt"],
    [other, "both.txt"],
    [other, "later.txt"],
  ] as const) {
    chat.write(path(name), `by ${chat.session}`);
    // On a busy machine the disk's clock is seconds ahead of the chats'.
    utimesSync(path(name), runtime.now() / 1_000, runtime.now() / 1_000);
  }
  const later = runtime.now() / 1_000 + 60;
  utimesSync(path("later.txt"), later, later);
  claude.kill();
  const from = restore(runtime, storedSession(runtime, claude.session));
  const names = from?.files.map((file) => file.path.slice(claude.cwd.length + 1));
  expect(names?.toSorted()).toEqual(["both.txt", "later.txt", "mine.txt"]);
});

it.each([true, false])(
  "files that a chat has inherited are named with its own, if it has continued the dead one (%s) @night",
  (isContinued) => {
    const { runtime, claude: first, path } = aChatInRepository(Date.now());
    first.start();
    first.prompt("Tidy up the files");
    for (const name of ["parser.ts", "done.ts", "named.ts", "lexer.ts"]) first.write(path(name), name);
    first.stop();
    git(first.cwd, "add", "done.ts");
    git(first.cwd, "commit", "-q", "-m", "two");
    first.kill();
    runtime.wait(600_000);
    const second = anotherClaude(runtime, first, { session: "second-session" });
    second.start();
    second.prompt(isContinued ? "go on" : "write the songs");
    if (isContinued) second.write(path("parser.ts"), "longer");
    if (isContinued) second.use("Read", { file_path: path("lexer.ts") }, {});
    const notes = { files: [path("named.ts")] };
    if (isContinued) capture(runtime, { sessionId: second.session, trigger: "on_demand", notes });
    second.write(path("song.txt"), "la");
    second.stop();
    second.kill();
    runtime.wait(600_000);
    const from = restore(runtime, storedSession(runtime, second.session));
    const names = from?.files.filter((one) => !one.isCommitted).map(({ path: of }) => of.slice(first.cwd.length + 1));
    expect(names).toEqual(isContinued ? ["named.ts", "lexer.ts", "parser.ts", "song.txt"] : ["song.txt"]);
    const brief = anotherClaude(runtime, second, { session: "third-session" }).start();
    expect(brief.includes("- lexer.ts (created): unchanged since the checkpoint")).toBe(isContinued);
    expect(brief.includes("- committed or unchanged, by git: done.ts\n")).toBe(isContinued);
  },
);
