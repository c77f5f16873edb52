import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { findIncomplete } from "#src/machine/recovery/incomplete/detect.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { dismiss, undo } from "#src/machine/recovery/marks.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { add } from "#src/store/notices.ts";
import {
  aDeadClaude,
  aLiveClaude,
  aProject,
  anotherClaude,
  journalKinds,
  rowCount,
  storedSession,
  Claude,
  aChat,
} from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("after a normal end the next chat is given nothing, also of one that ends with -p", () => {
  const { runtime, claude: first } = aChat({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-ts" } });
  first.start();
  first.turn("fix the parser");
  first.end("other");
  expect(storedSession(runtime, first.session).endedAt).not.toBeNull();
  expect(anotherClaude(runtime, first).start()).toBe("");
});

it("killed in the middle of a tool: the next chat of the project gets the request, the tool, the tasks and the files as they are", () => {
  const { runtime, claude: first } = aChat();
  const path = (name: string): string => join(first.cwd, name);
  first.start();
  first.prompt("fix the parser");
  first.use("TaskCreate", { subject: "write the test" }, { task: { id: "1", subject: "write the test" } });
  first.use("TaskCreate", { subject: "write the code" }, { task: { id: "2", subject: "write the code" } });
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
    "how it stood (5 min ago): in mid-turn, running Bash npm run build (begun 0 s before; no result was seen; it may still",
    `client: Claude Code; project: ${first.cwd}`,
    "oldest first:\n- 5 min ago: fix the parser\n",
    '(after "The test stands.") now the code, please\n',
    "1 of 2 are open:\n- write the code\n",
    "the chat's last words:\n- 5 min ago: The test stands.",
    "- kept.ts (created): unchanged since the checkpoint",
    "- changed.ts (created): CHANGED",
    "- gone.ts (created): MISSING",
  ])
    expect(brief).toContain(part);
});

it("the brief does not depend on the transcript, and uses it where it is", () => {
  const runtime = tempRuntime();
  const first = aLiveClaude(runtime, "fix the parser");
  first.say("I look at the lexer first.");
  first.use("Bash", { command: "ls" });
  rmSync(first.transcript);
  first.begin("Read", { file_path: join(first.cwd, "lexer.ts") });
  first.kill();
  const brief = anotherClaude(runtime, first).start();
  expect(brief).toContain("s ago: I look at the lexer first.");
  expect(brief).toContain("in mid-turn, running Read");
});

it("a turn that failed is not finished work: a usage limit is the cause in the next chat's brief", () => {
  const runtime = tempRuntime();
  const first = aLiveClaude(runtime, "fix the parser");
  first.tell("StopFailure", { error: "billing_error", last_assistant_message: "Credit balance is too low" });
  first.end("other");
  expect(anotherClaude(runtime, first).start()).toContain("why it died: usage_limit");
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
  expect(storedSession(runtime, claude.session)).toMatchObject({ recovery: null, owner: { pid: claude.pid } });
});

it("a session that ended well, or that SHIM does not know, is given nothing when it is resumed", () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  claude.end();
  expect(claude.resume()).toBe("");
  expect(storedSession(runtime, claude.session).endedAt).toBeNull();
  expect(new Claude(runtime, { pid: 77, session: "never-seen-before" }).start("resume")).toBe("");
});

it("under the setting resume a successor's first checkpoint recovers the session, which learns it when it is resumed", () => {
  const runtime = tempRuntime({ config: { recovery: "resume" } });
  const first = aDeadClaude(runtime);
  const second = anotherClaude(runtime, first);
  expect(second.start()).toMatch(/fix the parser[^]*Continue this work now|Continue this work now[^]*fix the parser/);
  second.turn("go on with it");
  const recovered = { recovery: "recovered", recoveryBy: second.session };
  expect(storedSession(runtime, first.session)).toMatchObject(recovered);
  expect(first.resume()).toContain(`continued by session ${second.session}`);
});

it("after each compaction the next prompt or tool call brings what its summary lacks, once", () => {
  const { runtime, claude } = aChat({ hooks: 2 });
  claude.prompt("Why does the parser skip the second comment?");
  expect(claude.compact("A first summary.")).toBe("");
  const missing = "- Why does the parser skip the second comment?";
  const given = JSON.stringify(claude.use("Bash", { command: "npm test" }));
  expect(given).toContain("this conversation was compacted. The summary lacks");
  expect(given).toContain(missing);
  expect(JSON.stringify(claude.use("Bash", { command: "npm test" }))).not.toContain("compacted");
  claude.compact("A second summary: why does the parser skip the second comment?");
  expect(JSON.stringify(claude.use("Bash", { command: "npm test" }))).not.toContain("compacted");
  claude.compact("A third summary.");
  expect(JSON.stringify(claude.prompt("go on"))).toContain(missing);
  expect(journalKinds(runtime, claude.session).filter((kind) => kind === "given_back")).toHaveLength(2);
  expect(journalKinds(runtime, claude.session)).not.toContain("subagent_end");
  expect(storedSession(runtime, claude.session).endedAt).toBeNull();
});

it("two chats in one project leave each other alone; each is recovered when it dies", () => {
  const { runtime, claude: first } = aChat();
  const second = anotherClaude(runtime, first);
  first.turn("the front");
  expect(second.start()).toBe("");
  second.turn("the back");
  first.kill();
  second.kill();
  const third = anotherClaude(runtime, second, { session: "third-session" });
  expect(third.start()).toMatch(/the back[^]*1 more incomplete/);
});

it("a session of another project is not handed over", () => {
  const runtime = tempRuntime();
  aDeadClaude(runtime);
  expect(new Claude(runtime, { cwd: aProject(), pid: 2_000, session: "another" }).start()).toBe("");
});

it("with every hook registered twice there is one brief and one row of each event", () => {
  const runtimes = [tempRuntime(), tempRuntime()];
  const cwd = aProject();
  const seen = runtimes.map((runtime, index) => {
    const first = new Claude(runtime, { cwd, hooks: index + 1 });
    first.start();
    first.turn("fix the parser");
    first.fail("Bash", { command: "exit 3" }, "Exit code 3");
    first.begin("Bash", { command: "sleep 9" });
    first.kill();
    const second = anotherClaude(runtime, first);
    const answers = Array.from({ length: index + 1 }, () => second.tellOnce("SessionStart", { source: "startup" }));
    const { toolCalls, toolErrors } = storedSession(runtime, first.session);
    const briefs = answers.filter((answer) => answer.hookSpecificOutput).length;
    return { briefs, toolCalls, toolErrors, rows: rowCount(runtime, "journal") };
  });
  expect(seen[0]).toMatchObject({ briefs: 1, toolErrors: 1 });
  expect(seen[1]).toEqual(seen[0]);
});

it("a successor that ends or dies without continuing it has not taken over: the next chat is offered it", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const chats = ["second", "third", "fourth"].map((name, n) =>
    anotherClaude(runtime, first, { session: `${name}-session`, pid: 3_000 + n }),
  );
  for (const [n, chat] of chats.entries()) {
    expect(chat.start()).toContain("ago: fix the parser");
    if (n === 0) chat.turn("something else first");
    if (n === 1) chat.kill();
    else chat.end();
    expect(storedSession(runtime, first.session).recovery).toBe("offered");
  }
});

it("two successors that start at the same time: one gets the offer", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const second = anotherClaude(runtime, first);
  const third = anotherClaude(tempRuntime({ beside: runtime }), first, { pid: 3_000, session: "third-session" });
  expect([second.start(), third.start()].filter((text) => text.includes("fix the parser"))).toHaveLength(1);
});

it("after three chats that did not take it, a dead session is only listed; who takes it begins anew @night", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const start = (n: number): { context: string; line: string } => {
    const chat = anotherClaude(runtime, dead, { pid: 3_000 + n, session: `chat-${n}` });
    const { systemMessage = "", hookSpecificOutput } = chat.tell("SessionStart", { source: "startup" });
    chat.turn("something else first");
    chat.end();
    return { context: hookSpecificOutput?.additionalContext ?? "", line: systemMessage };
  };
  for (const n of [1, 2, 3]) expect(start(n).context).toContain("ago: fix the parser");
  expect(start(4)).toEqual({ context: "", line: "" });
  const taken = { at: runtime.now(), session: dead.session, action: "taken", by: "chat-4" } as const;
  runtime.store.write((sql) => recoveries.add(sql, taken));
  expect(start(5).context).toContain("ago: fix the parser");
});

it("a chat that was opened and closed without a prompt does not count as one that did not take it", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  for (const n of [1, 2, 3, 4, 5]) {
    const chat = anotherClaude(runtime, dead, { pid: 3_000 + n, session: `chat-${n}` });
    expect(chat.start()).toContain("ago: fix the parser");
    if (n % 2 === 0) chat.kill();
    else chat.end();
  }
});

it("where each chat continues by itself it gets the whole brief, however often it was offered @night", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  for (const n of [1, 2, 3]) {
    const chat = anotherClaude(runtime, dead, { pid: 3_000 + n, session: `chat-${n}` });
    chat.start();
    chat.turn("something else first");
    chat.end();
  }
  const next = tempRuntime({ beside: runtime, config: { recovery: "resume" } });
  expect(anotherClaude(next, dead, { pid: 4_000, session: "chat-4" }).start()).toContain("ago: fix the parser");
});

it("an offer that is undone is made again; a dismissed session is not", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  anotherClaude(runtime, first).start();
  expect(undo(runtime, first.session)).toBe(true);
  const third = anotherClaude(runtime, first, { pid: 3_000, session: "third-session" });
  expect(third.start()).toContain("fix the parser");
  expect(dismiss(runtime, first.session)).toBe(true);
  third.end();
  expect(anotherClaude(runtime, first, { pid: 4_000, session: "fourth-session" }).start()).toBe("");
});

it("notices of the store come at the start, and leave the brief its room", () => {
  const { runtime, claude: first } = aChat();
  first.prompt("x".repeat(7_000));
  first.stop("y ".repeat(4_000));
  first.kill();
  for (let n = 0; n < 20; n++)
    runtime.store.write((sql) => add(sql, runtime.now(), "test", "The file was damaged. ".repeat(20)));
  const given = anotherClaude(runtime, first).start();
  expect(given).toContain("SHIM notice: The file was damaged.");
  expect(given).toContain("of the session: 1 of 1 prompts quoted");
  expect(given.length).toBeLessThan(10_000);
});

it("an incomplete session that is older than a week is listed, not offered", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  runtime.wait(8 * 86_400_000);
  expect(anotherClaude(runtime, first).start()).toBe("");
  expect(runtime.store.read((sql) => findIncomplete(sql, runtime.processes, runtime.now()), [])).toHaveLength(1);
});

it("a chat of any client takes over what `shim resume` gave to the id in its environment, once", () => {
  const runtime = tempRuntime({ env: { SHIM_SUCCESSOR: "the-next-chat" } });
  const first = aDeadClaude(runtime);
  runtime.store.write((sql) => sessions.setRecovery(sql, runtime.now(), first.session, "offered", "the-next-chat"));
  const next = anotherClaude(runtime, first);
  expect(next.start()).toBe("");
  const taken = runtime.store.read((sql) => sessions.get(sql, first.session), null);
  expect(taken).toMatchObject({ recovery: "offered", recoveryBy: next.session });
  const inside = anotherClaude(runtime, first);
  inside.start();
  expect(runtime.store.read((sql) => sessions.get(sql, first.session), null)).toMatchObject({
    recoveryBy: next.session,
  });
});

it("a chat that was started for one dead session is not offered another one as well", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const next = anotherClaude(runtime, first);
  runtime.store.write((sql) => sessions.setRecovery(sql, runtime.now(), first.session, "offered", next.session));
  const second = anotherClaude(runtime, first);
  second.start();
  second.prompt("write the docs");
  second.kill();
  expect(next.start()).toBe("");
});
