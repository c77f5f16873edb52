import { cpSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { findIncomplete } from "#src/machine/recovery/incomplete/detect.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { undo } from "#src/machine/recovery/marks.ts";
import { aChat, aDeadClaude, anotherClaude, aProject, Claude, claimOf } from "#harness/machine/claude.ts";
import { journalKinds, rowCount, storedSession } from "#harness/machine/claude.ts";
import { write } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { summarizeUnread } from "#src/local-mcp/events/unread-input.ts";
import { pause } from "#src/store/pause.ts";

it("a dead session is not offered to another project, and when it is older than a week only listed", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  expect(new Claude(runtime, { cwd: aProject(), pid: 2_000, session: "another" }).start()).toBe("");
  runtime.wait(8 * 86_400_000);
  expect(anotherClaude(runtime, dead).start()).toBe("");
  expect(runtime.store.read((sql) => findIncomplete(sql, runtime), [])).toHaveLength(1);
});

it("killed in the middle of a tool: the next chat of the project gets the request, the tool, the tasks and the files as they are", () => {
  const { runtime, claude: first } = aChat();
  const path = (name: string): string => join(first.cwd, name);
  first.start();
  first.prompt("fix the parser");
  for (const [n, subject] of ["write the test", "write the code"].entries())
    first.use("TaskCreate", { subject }, { task: { id: String(n + 1), subject } });
  first.use("TaskUpdate", { taskId: "1", status: "completed" }, { success: true, taskId: "1" });
  for (const name of ["kept.ts", "changed.ts", "gone.ts"]) first.write(path(name), "const one = 1;\n");
  first.stop("The test stands.");
  first.prompt("now the code, please");
  first.begin("Bash", { command: "npm run build" });
  first.kill();
  writeFileSync(path("changed.ts"), "const two = 2;\n");
  rmSync(path("gone.ts"));
  runtime.wait(300_000);
  const brief = anotherClaude(runtime, first).start();
  for (const part of [
    "died 5 min ago",
    "why it died: killed",
    "in mid-turn, running Bash npm run build",
    '(after "The test stands.") now the code, please\n',
    "1 of 2 are open:\n- write the code\n",
    "- kept.ts (created): unchanged since the checkpoint",
    "- changed.ts (created): CHANGED",
    "- gone.ts (created): MISSING",
  ])
    expect(brief).toContain(part);
});

it("resumed after a kill, a session is given how it died and what has changed since; its own transcript has the rest", () => {
  const { runtime, claude } = aChat();
  const path = join(claude.cwd, "a.ts");
  claude.prompt("fix the parser");
  claude.write(path, "old");
  claude.stop();
  claude.prompt("go on");
  claude.begin("Bash", { command: "make" });
  claude.kill();
  writeFileSync(path, "new");
  expect(claude.resume()).toMatch(/this session died[^]*in mid-turn, running Bash make[^]*CHANGED/);
  expect(storedSession(runtime, claude.session)).toMatchObject({ owner: { pid: claude.pid } });
  expect(claimOf(runtime, claude.session)).toBeNull();
});

it("after each compaction the next prompt or tool call brings what its summary lacks, once", () => {
  const { runtime, claude } = aChat({ hooks: 2 });
  claude.prompt("Why does the parser skip the second comment?");
  expect(claude.compact("A first summary.")).toBe("");
  const missing = /this conversation was compacted. The summary lacks.*- Why does the parser skip the second comment\?/;
  const use = (): string => JSON.stringify(claude.use("Bash", { command: "npm test" }));
  expect(use()).toMatch(missing);
  expect(use()).not.toContain("compacted");
  claude.compact("A second summary: why does the parser skip the second comment?");
  expect(use()).not.toContain("compacted");
  claude.compact("A third summary.");
  expect(JSON.stringify(claude.prompt("go on"))).toMatch(missing);
  expect(journalKinds(runtime, claude.session).filter((kind) => kind === "given_back")).toHaveLength(2);
  expect(journalKinds(runtime, claude.session)).not.toContain("subagent_end");
  expect(storedSession(runtime, claude.session).ending).toBeNull();
});

it("with every hook registered twice there is one brief and one row of each event", () => {
  const cwd = aProject();
  const [once, twice] = [1, 2].map((hooks) => {
    const runtime = tempRuntime();
    const first = new Claude(runtime, { cwd, hooks });
    first.start();
    first.turn("fix the parser");
    first.fail("Bash", { command: "exit 3" }, "Exit code 3");
    first.begin("Bash", { command: "sleep 9" });
    first.kill();
    const second = anotherClaude(runtime, first);
    const answers = Array.from({ length: hooks }, () => second.tellOnce("SessionStart", { source: "startup" }));
    const { toolCalls, toolErrors } = storedSession(runtime, first.session);
    const briefs = answers.filter((answer) => answer.hookSpecificOutput).length;
    return { briefs, toolCalls, toolErrors, rows: rowCount(runtime, "journal") };
  });
  expect(once).toMatchObject({ briefs: 1, toolErrors: 1 });
  expect(twice).toEqual(once);
});

it("a successor that ends or dies without continuing it has not taken over: the next chat is offered it", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  for (let n = 0; n < 3; n++) {
    const chat = anotherClaude(runtime, first, { session: `session-${n}`, pid: 3_000 + n });
    expect(chat.start()).toContain("ago: fix the parser");
    if (n === 0) chat.turn("something else first");
    if (n === 1) chat.kill();
    else chat.end();
    expect(claimOf(runtime, first.session)?.is).toBe("offered");
  }
});

it("two successors that start at the same time: one gets the offer", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const second = anotherClaude(runtime, first);
  const third = anotherClaude(tempRuntime({ beside: runtime }), first, { pid: 3_000, session: "third-session" });
  expect([second.start(), third.start()].filter((text) => text.includes("fix the parser"))).toHaveLength(1);
});

/** A chat that was offered a dead session. */
function anOffer() {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const chat = anotherClaude(runtime, dead);
  chat.start();
  const isTaken = () => {
    const claim = claimOf(runtime, dead.session);
    return claim?.is === "taken" && claim.by === chat.session;
  };
  return { runtime, dead, chat, isTaken };
}

it("a user who says to continue has the session without a tool call: the model and the user learn it, and the first checkpoint completes it", () => {
  const { runtime, dead, chat, isTaken } = anOffer();
  const { systemMessage, hookSpecificOutput } = chat.prompt("Yes, continue please.");
  const line = 'SHIM: this chat continues "fix the parser" now. Not meant? `shim resume --undo 20487890`';
  expect(systemMessage).toBe(line);
  const context = hookSpecificOutput?.additionalContext ?? "";
  expect(context).toContain(`the user continues session ${dead.session}, and this chat has it now`);
  expect(context).not.toContain("recovered data");
  expect(isTaken()).toBe(true);
  expect(chat.prompt("continue")).toEqual({});
  chat.stop("Done.");
  expect(claimOf(runtime, dead.session)).toMatchObject({ is: "recovered", by: chat.session });
  expect(undo(runtime, dead.session)).toBe(true);
});

it("words that only say to continue, in any language, take the session that was offered; others take nothing", () => {
  const nods = "continue|Continue where we left off|go on|ok|yes please|weiter|sí, continúa|да, продолжай|继续";
  const others =
    "no|fix the lexer|yes, but first fix the lexer|resume.pdf needs a new layout|continue on error in CI||   ";
  for (const words of [...nods.split("|"), ...others.split("|")]) {
    const { chat, isTaken } = anOffer();
    const { systemMessage } = chat.prompt(words);
    const is = nods.split("|").includes(words);
    expect([words, isTaken(), systemMessage !== undefined]).toEqual([words, is, is]);
  }
});

it("the answer to the model's question counts; in a chat that has begun other work, or has no offer, the words mean that", () => {
  const question = "Shall I go on with it?";
  for (const [talk, answer, words, expected] of [
    [["hello"], question, "yes", true],
    [["look at the lexer"], question, "yes", false],
    [["a question", "another one"], "An answer.", "go on", false],
  ] as const) {
    const { chat, isTaken } = anOffer();
    for (const said of talk) {
      chat.prompt(said);
      if (said.includes("lexer")) chat.use("Read", { file_path: "lexer.ts" });
      chat.stop(answer);
    }
    chat.prompt(words);
    expect([talk, isTaken()]).toEqual([talk, expected]);
  }
  const undone = anOffer();
  undo(undone.runtime, undone.dead.session);
  expect(undone.chat.prompt("continue")).toEqual({});
});

it("the last message of a turn, given by the hook and by the transcript, is kept once; said again in the next turn, again; a late repeat adds none", () => {
  const { runtime, claude } = aChat();
  for (const prompt of ["one", "two"]) {
    claude.prompt(prompt);
    claude.say("Done.");
    claude.stop("Done.");
  }
  claude.prompt("three");
  claude.tell("Stop", { prompt_id: `prompt-${claude.session}-1`, last_assistant_message: "Done." });
  expect(journalKinds(runtime, claude.session).filter((kind) => kind === "assistant")).toHaveLength(2);
});

it("an end by a client that could not resume, or without a known process, closes no session of another client", () => {
  for (const isKnown of [true, false]) {
    const { runtime, claude } = aChat();
    claude.prompt("fix the parser");
    const stranger = new Claude(runtime, { cwd: claude.cwd, session: claude.session, pid: 2_000 });
    if (isKnown) claude.kill();
    else stranger.kill();
    stranger.tell("SessionEnd", { reason: "other" });
    expect(storedSession(runtime, claude.session)).toMatchObject({ ending: null });
  }
});

it("a Stop, a compaction and an end print nothing that could make the client continue or stop", () => {
  const { claude } = aChat();
  claude.prompt("one");
  claude.use("Bash", { command: "ls" });
  const compact = (event: "PreCompact" | "PostCompact") =>
    claude.tell(event, { trigger: "auto", compact_summary: "s" });
  expect([claude.stop(), compact("PreCompact"), compact("PostCompact"), claude.end()]).toEqual([{}, {}, {}, {}]);
});

it("while SHIM is paused a hook stores nothing and says nothing, nor does it keep what it cannot read", () => {
  const { runtime, claude } = aChat();
  runtime.store.write((sql) => pause(sql, runtime.now(), null, claude.cwd));
  claude.start();
  claude.turn("a secret plan");
  answerHook(runtime, "Stop", () => `{"cwd":"${claude.cwd}/sub","prompt":"a secret`, claude.pid);
  expect(["sessions", "journal", "checkpoints"].map((table) => rowCount(runtime, table))).toEqual([0, 0, 0]);
  expect(summarizeUnread(runtime.paths.unread)).toBeNull();
  answerHook(runtime, "Stop", () => '{"cwd":"/other","prompt":"half', claude.pid);
  expect(summarizeUnread(runtime.paths.unread)).toMatchObject({ count: 1 });
});

it("/clear ends the old session and begins a new one in the same process, with no brief of the old one, which is no fork where it is opened again", () => {
  const { runtime, claude } = aChat();
  const old = claude.session;
  claude.turn("fix the parser");
  expect(claude.clear("5c1e0000-0000-4000-8000-000000000001")).toBe("");
  expect(storedSession(runtime, old).ending?.reason).toBe("clear");
  expect(storedSession(runtime, claude.session)).toMatchObject({ origin: "clear", ending: null });
  const second = anotherClaude(runtime, claude, { session: old, pid: 2_000 });
  second.start("resume");
  second.prompt("go on");
  expect(storedSession(runtime, old)).toMatchObject({ ending: null, owner: { pid: 2_000 } });
  claude.prompt("next");
  claude.kill();
  expect(anotherClaude(runtime, claude).start()).toContain("s ago: next");
});

it("a client that moves on without a word has finished the session it leaves; a late event of that one moves nothing", () => {
  const { runtime, claude } = aChat();
  const old = claude.session;
  claude.turn("one");
  claude.session = "5c1e0000-0000-4000-8000-000000000001";
  claude.prompt("two");
  claude.tell("SubagentStop", { session_id: old, agent_type: "Explore", last_assistant_message: "late" });
  const [left, current] = [old, claude.session].map((id) => storedSession(runtime, id).ending?.reason ?? null);
  expect([left, current]).toEqual(["moved_on", null]);
});

it("a second client that opens a session which is alive gets one of its own, a fork; each keeps its own end", () => {
  const { runtime, claude: first } = aChat();
  first.turn("one");
  const second = anotherClaude(runtime, first, { session: first.session });
  second.start("resume");
  second.prompt("two");
  const fork = runtime.store.read((sql) => sessions.list(sql), []).find((one) => one.parentId === first.session);
  expect(fork).toMatchObject({ origin: "fork", owner: { pid: second.pid } });
  second.end();
  expect(storedSession(runtime, first.session).ending).toBeNull();
  expect(storedSession(runtime, fork?.id ?? "").ending?.how).toBe("ended");
});

it("a reused pid and a reboot are seen: the session is dead", () => {
  for (const what of ["reuse", "reboot"] as const) {
    const { runtime, claude: first } = aChat();
    first.turn("fix the parser");
    if (what === "reboot") runtime.processes.reboot();
    runtime.processes.start(first.pid);
    expect(anotherClaude(runtime, first).start(), what).toContain("fix the parser");
  }
});

it("the death of a front is reported once, with the next prompt, and only while no other serves the client; its end is not", () => {
  const { runtime, claude } = aChat();
  const client = runtime.processes.start(claude.pid);
  const serve = (): ((isKilled: boolean) => void) => {
    const front = { client };
    runtime.fronts.connect(front);
    return (isKilled) => runtime.fronts.disconnect(front, isKilled);
  };
  const warning = (text: string): string | undefined => claude.prompt(text).systemMessage;
  const end = serve();
  claude.start();
  expect(warning("one")).toBeUndefined();
  end(true);
  expect(claude.use("Bash").systemMessage).toBeUndefined();
  expect(warning("two")).toContain("MCP process has died");
  expect(warning("three")).toBeUndefined();
  const [die, leave] = [serve(), serve()];
  die(true);
  expect(warning("four")).toBeUndefined();
  leave(false);
  expect(warning("five")).toBeUndefined();
});

it("a session that has ended and is seen alive again is open again, and not on offer; what comes late opens nothing", () => {
  const { runtime, claude } = aChat();
  claude.turn("one");
  claude.tell("SessionEnd", { reason: "logout" });
  claude.tell("PostToolUse", { tool_name: "Bash", tool_use_id: "late", tool_input: {} });
  expect(storedSession(runtime, claude.session).ending?.how).toBe("ended");
  runtime.store.write((sql) => recoveries.add(sql, { at: 1, session: claude.session, action: "offered", by: "s2" }));
  claude.prompt("two");
  expect(storedSession(runtime, claude.session)).toMatchObject({ ending: null });
  expect(claimOf(runtime, claude.session)).toBeNull();
});

it("prompts without an id of their own: the same words in a later turn are another prompt", () => {
  const { runtime, claude } = aChat({ hooks: 2 });
  for (let turn = 0; turn < 2; turn++) {
    claude.tell("UserPromptSubmit", { prompt: "continue" });
    claude.tell("Stop", { last_assistant_message: "Done." });
  }
  const turn = ["prompt", "assistant", "turn_end"];
  expect(journalKinds(runtime, claude.session)).toEqual([...turn, ...turn]);
});

it("a linked work tree that is gone is not another one which was made at the same time", () => {
  const [old, other] = [join(aProject(), "one"), join(aProject(), "two")];
  for (const folder of [old, other]) {
    const git = `${folder}-git`;
    write(git, {
      HEAD: "ref: refs/heads/main\n",
      "logs/HEAD": `${"0".repeat(40)} ${"a1".repeat(20)} Ann <a> 1 +0000\t\n`,
    });
    write(folder, { ".git": `gitdir: ${git}\n` });
  }
  const { runtime, claude, next } = diedIn(old);
  rmSync(old, { recursive: true });
  expect(next(other).brief).toBe("");
  expect(storedSession(runtime, claude.session).project).toBe(old);
});

/** A chat that dies with a file of its own in the project; the folder is renamed meanwhile. */
function diedIn(project: string) {
  const { runtime, claude } = aChat({ cwd: project });
  claude.start();
  claude.prompt("fix the parser");
  claude.write(join(project, "kept.ts"), "const one = 1;\n");
  claude.stop();
  claude.prompt("now the docs");
  claude.begin("Bash", { command: "make" });
  claude.kill();
  const next = (cwd: string, session = "next", pid = 7_000) => {
    const { hookSpecificOutput, systemMessage } = new Claude(runtime, { cwd, session, pid }).tell("SessionStart", {
      source: "startup",
    });
    return { brief: hookSpecificOutput?.additionalContext ?? "", line: systemMessage ?? "" };
  };
  return { runtime, claude, next };
}

it.each(["nothing", "a link"])(
  "a chat that died in a folder which was renamed is offered there, with its files where they are now (%s at the old path)",
  (left) => {
    const old = join(aProject(), "app");
    write(old, { ".git/HEAD": "ref: refs/heads/main\n" });
    const { runtime, claude, next } = diedIn(old);
    const renamed = `${old}-renamed`;
    renameSync(old, renamed);
    if (left === "a link") symlinkSync(renamed, old);
    const { brief } = next(renamed);
    expect(brief).toContain("now the docs");
    expect(brief).toContain("- kept.ts (created): unchanged since the checkpoint");
    expect(brief).not.toContain("MISSING");
    expect(storedSession(runtime, claude.session)).toMatchObject({ project: renamed, cwd: renamed });
    // And back again, after the chat that was offered it has died too.
    runtime.processes.kill(7_000);
    if (left === "a link") rmSync(old);
    renameSync(renamed, old);
    expect(next(old, "back", 7_001).brief).toContain("- kept.ts (created): unchanged since the checkpoint");
  },
);

it("a chat that enters a project through a link is offered what died in it, and the other way round", () => {
  for (const isFirst of [true, false]) {
    const folder = aProject();
    const link = `${folder}-link`;
    symlinkSync(folder, link);
    const { next } = diedIn(isFirst ? link : folder);
    expect(next(isFirst ? folder : link).brief).toContain("- kept.ts (created): unchanged since the checkpoint");
    rmSync(link);
  }
});

it("a repository that was moved to another disk is known by how its history began; its copy, and a new one of its name, are not it", () => {
  const began = `${"0".repeat(40)} ${"a1".repeat(20)} Ann <ann@example.org> 1700000000 +0000\tclone: from /x\n`;
  const log = { ".git/HEAD": "ref: refs/heads/main\n", ".git/logs/HEAD": began };
  const old = join(aProject(), "app");
  write(old, log);
  const { runtime, claude, next } = diedIn(old);
  const copy = join(aProject(), "copy");
  cpSync(old, copy, { recursive: true });
  expect(next(copy)).toEqual({ brief: "", line: "" });
  rmSync(old, { recursive: true });
  // Both were seen, so neither is the other.
  expect(next(copy, "again", 7_001)).toEqual({ brief: "", line: "" });
  const newer = join(aProject(), "app");
  write(newer, { ".git/HEAD": "ref: refs/heads/main\n" });
  const { brief, line } = next(newer, "newer", 7_002);
  expect(brief).toBe("");
  expect(line).toMatch(
    /^SHIM: "fix the parser" died .* in .*app, a folder that is gone\. If it is this one now: .*rescue/,
  );
  expect(storedSession(runtime, claude.session).project).toBe(old);
  const moved = join(aProject(), "elsewhere");
  write(moved, { ...log, "kept.ts": "const one = 1;\n" });
  expect(next(moved, "moved", 7_003).brief).toContain("now the docs");
});
