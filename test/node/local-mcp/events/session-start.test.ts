import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { findIncomplete } from "#src/machine/recovery/incomplete/detect.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { undo } from "#src/machine/recovery/marks.ts";
import { aDeadClaude, aProject, anotherClaude, journalKinds, rowCount } from "#harness/machine/claude.ts";
import { storedSession, Claude, aChat } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("a dead session is not offered to another project, and when it is older than a week only listed", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  expect(new Claude(runtime, { cwd: aProject(), pid: 2_000, session: "another" }).start()).toBe("");
  runtime.wait(8 * 86_400_000);
  expect(anotherClaude(runtime, dead).start()).toBe("");
  expect(runtime.store.read((sql) => findIncomplete(sql, runtime.processes, runtime.now()), [])).toHaveLength(1);
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
  expect(storedSession(runtime, claude.session).endedAt).toBeNull();
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

it("after three chats that did not take it, a dead session is only listed; after a chat has taken it, it is offered again @night", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const start = (n: number): string => {
    const chat = anotherClaude(runtime, dead, { pid: 3_000 + n, session: `chat-${n}` });
    const printed = chat.tell("SessionStart", { source: "startup" });
    chat.turn("something else first");
    chat.end();
    return JSON.stringify(printed);
  };
  for (const n of [1, 2, 3]) expect(start(n)).toContain("ago: fix the parser");
  expect(start(4)).toBe("{}");
  const taken = { at: runtime.now(), session: dead.session, action: "taken", by: "chat-4" } as const;
  runtime.store.write((sql) => recoveries.add(sql, taken));
  expect(start(5)).toContain("ago: fix the parser");
});

/** A chat that was offered a dead session. */
function anOffer() {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const chat = anotherClaude(runtime, dead);
  chat.start();
  const isTaken = (): boolean =>
    runtime.store.read((sql) => recoveries.isTaken(sql, dead.session, chat.session), false);
  return { runtime, dead, chat, isTaken };
}

it("a user who says to continue has the session without a tool call: the model and the user learn it, and the first checkpoint completes it", () => {
  const { runtime, dead, chat, isTaken } = anOffer();
  const { systemMessage, hookSpecificOutput } = chat.prompt("Yes, continue please.");
  expect(systemMessage).toBe(
    'SHIM: this chat continues "fix the parser" now. Not meant? `shim resume --undo 20487890`',
  );
  const context = hookSpecificOutput?.additionalContext ?? "";
  expect(context).toContain(`the user continues session ${dead.session}, and this chat has it now`);
  expect(context).not.toContain("recovered data");
  expect(isTaken()).toBe(true);
  expect(chat.prompt("continue")).toEqual({});
  chat.stop("Done.");
  expect(storedSession(runtime, dead.session)).toMatchObject({ recovery: "recovered", recoveryBy: chat.session });
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
  const asked = anOffer();
  asked.chat.prompt("hello");
  asked.chat.stop("Shall I continue with the parser?");
  asked.chat.prompt("yes");
  expect(asked.isTaken()).toBe(true);
  const busy = anOffer();
  busy.chat.prompt("look at the lexer");
  busy.chat.use("Read", { file_path: "lexer.ts" });
  busy.chat.stop("Shall I fix it?");
  busy.chat.prompt("yes");
  expect(busy.isTaken()).toBe(false);
  const talked = anOffer();
  for (const n of [1, 2]) {
    talked.chat.prompt(`a question ${n}`);
    talked.chat.stop("An answer.");
  }
  talked.chat.prompt("go on");
  expect(talked.isTaken()).toBe(false);
  const undone = anOffer();
  undo(undone.runtime, undone.dead.session);
  expect(undone.chat.prompt("continue")).toEqual({});
});
