import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { findIncomplete } from "#src/local-mcp/recovery/detect.ts";
import { dismiss, undo } from "#src/local-mcp/recovery/local-source.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
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
} from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";

it("[RE4] after a normal end the next chat is told nothing, also of one that ends with -p", () => {
  const runtime = tempRuntime({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-ts" } });
  const first = new Claude(runtime, { cwd: aProject() });
  first.start();
  first.turn("fix the parser");
  first.end("other");
  expect(storedSession(runtime, first.session).endedAt).not.toBeNull();
  expect(anotherClaude(runtime, first).start()).toBe("");
});

it("[HO2] killed in the middle of a tool: the next chat of the project gets the request, the tool, the tasks and the files as they are", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const [kept, changed, gone] = ["kept.ts", "changed.ts", "gone.ts"].map((name) => join(first.cwd, name)) as [
    string,
    string,
    string,
  ];
  first.start();
  first.prompt("fix the parser");
  first.use("TaskCreate", { subject: "write the test" }, { task: { id: "1", subject: "write the test" } });
  first.use("TaskCreate", { subject: "write the code" }, { task: { id: "2", subject: "write the code" } });
  first.use("TaskUpdate", { taskId: "1", status: "completed" }, { success: true, taskId: "1" });
  for (const path of [kept, changed, gone]) first.write(path, "const one = 1;\n");
  first.stop("The test stands.");
  first.prompt("now the code, please");
  first.begin("Bash", { command: "npm run build" });
  first.kill();
  writeFileSync(changed, "const two = 2;\n");
  rmSync(gone);
  runtime.wait(300_000);
  const brief = anotherClaude(runtime, first).start();
  expect(brief).toContain("why it died: killed");
  expect(brief).toContain("was running when it died: Bash npm run build");
  expect(brief).toContain("goal: now the code, please (the user, 5 min ago)");
  expect(brief).toContain("request that is perhaps still open: fix the parser (5 min ago)");
  expect(brief).toContain("done:\n- write the test");
  expect(brief).toContain("to do:\n- write the code");
  expect(brief).toContain("- assistant: The test stands.");
  expect(brief).toContain(`- kept.ts (created): unchanged since the checkpoint`);
  expect(brief).toContain(`- changed.ts (created): CHANGED`);
  expect(brief).toContain(`- gone.ts (created): MISSING`);
  expect(brief).toContain("died 5 min ago");
});

it("[HO57] the brief does not depend on the transcript, and uses it where it is", () => {
  const runtime = tempRuntime();
  const first = aLiveClaude(runtime, "fix the parser");
  const line = anAssistantLine({ content: [{ type: "text", text: "I look at the lexer first." }] });
  appendFileSync(first.transcript, `${line}\n`);
  first.use("Bash", { command: "ls" });
  rmSync(first.transcript);
  first.begin("Read", { file_path: join(first.cwd, "lexer.ts") });
  first.kill();
  const brief = anotherClaude(runtime, first).start();
  expect(brief).toContain("- assistant: I look at the lexer first.");
  expect(brief).toContain("was running when it died: Read");
});

it("[RE74] a turn that failed is not finished work: a usage limit is the cause in the next chat's brief", () => {
  const runtime = tempRuntime();
  const first = aLiveClaude(runtime, "fix the parser");
  first.tell("StopFailure", {
    error: "rate_limit",
    last_assistant_message: "API Error: Request rejected (429) \u00b7 This request would exceed your rate limit",
  });
  first.end("other");
  expect(anotherClaude(runtime, first).start()).toContain("why it died: usage_limit");
});

it("[RE10] resumed after a kill, a session is told how it died and what has changed since; its own transcript tells the rest", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  const path = join(claude.cwd, "a.ts");
  claude.start();
  claude.prompt("fix the parser");
  claude.write(path, "old");
  claude.stop();
  claude.prompt("go on");
  claude.begin("Bash", { command: "make" });
  claude.kill();
  writeFileSync(path, "new");
  claude.pid += 10;
  runtime.processes.start(claude.pid);
  const told = claude.start("resume", { seconds_since_last_response: 6, context_tokens: 1020 });
  expect(told).toContain("this session died");
  expect(told).toContain("was running when it died: Bash make");
  expect(told).toContain("CHANGED");
  expect(storedSession(runtime, claude.session)).toMatchObject({ recovery: null, owner: { pid: claude.pid } });
});

it("[RE10] a session that ended well, or that SHIM does not know, is told nothing when it is resumed", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("fix the parser");
  claude.end();
  claude.pid += 10;
  runtime.processes.start(claude.pid);
  expect(claude.start("resume")).toBe("");
  expect(storedSession(runtime, claude.session).endedAt).toBeNull();
  expect(new Claude(runtime, { pid: 77, session: "never-seen-before" }).start("resume")).toBe("");
});

it("[RE10] a session that another has continued meanwhile is told so when it is resumed", () => {
  const runtime = tempRuntime({ config: { recovery: "resume" } });
  const first = aDeadClaude(runtime);
  const second = anotherClaude(runtime, first);
  expect(second.start()).toContain("fix the parser");
  second.turn("go on with it");
  first.pid += 10;
  runtime.processes.start(first.pid);
  expect(first.start("resume")).toContain(`continued by session ${second.session}`);
});

it("[HO3] after a compaction the chat gets back what it knew, each time, also twice in one turn", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject(), hooks: 2 });
  claude.start();
  claude.prompt("fix the parser");
  claude.use("TaskCreate", { subject: "write the code" }, { task: { id: "1", subject: "write the code" } });
  const first = claude.compact("A first summary.");
  expect(first).toContain("this conversation was compacted");
  expect(first).toContain("next step: write the code (the task list");
  const second = claude.compact("A second summary.");
  expect(second).toContain("summary of the compacted part: A first summary.");
  expect(second).not.toContain("thoughts");
  expect(journalKinds(runtime, claude.session).filter((kind) => kind === "subagent_end")).toEqual([]);
  expect(storedSession(runtime, claude.session).endedAt).toBeNull();
});

it("[RE5] two chats in one project leave each other alone; each is recovered when it dies", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const second = anotherClaude(runtime, first);
  first.start();
  first.turn("the front");
  expect(second.start()).toBe("");
  second.turn("the back");
  first.kill();
  second.kill();
  const third = new Claude(runtime, { cwd: first.cwd, pid: 3_000, session: "third-session" });
  const told = third.start();
  expect(told).toContain("the back");
  expect(told).toContain("1 more incomplete");
});

it("[HO2] a session of another project is not handed over", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  first.turn("elsewhere");
  first.kill();
  expect(new Claude(runtime, { cwd: aProject(), pid: 2_000, session: "another" }).start()).toBe("");
});

it("[HO5] with every hook registered twice there is one brief and one row of each event", () => {
  const single = tempRuntime();
  const double = tempRuntime();
  const project = aProject();
  const briefs = [single, double].map((runtime, index) => {
    const first = new Claude(runtime, { cwd: project, hooks: index + 1 });
    first.start();
    first.turn("fix the parser");
    first.fail("Bash", { command: "exit 3" }, "Exit code 3");
    first.begin("Bash", { command: "sleep 9" });
    first.kill();
    const second = anotherClaude(runtime, first);
    const answers = Array.from({ length: index + 1 }, () => second.tellOnce("SessionStart", { source: "startup" }));
    return answers.filter((answer) => answer.hookSpecificOutput).length;
  });
  expect(briefs).toEqual([1, 1]);
  expect(rowCount(double, "journal")).toBe(rowCount(single, "journal"));
  const [one] = single.store.read((sql) => sessions.list(sql), []).slice(-1);
  const [two] = double.store.read((sql) => sessions.list(sql), []).slice(-1);
  expect(two).toMatchObject({ toolCalls: one?.toolCalls, toolErrors: 1 });
});

it("[RE11] a successor that ends or dies without having gone on with it has not taken over: the next chat is offered it", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const quit = anotherClaude(runtime, first);
  expect(quit.start()).toContain("fix the parser");
  quit.turn("something else first");
  quit.end();
  const killed = new Claude(runtime, { cwd: first.cwd, pid: 3_000, session: "third-session" });
  expect(killed.start()).toContain("fix the parser");
  killed.kill();
  expect(new Claude(runtime, { cwd: first.cwd, pid: 4_000, session: "fourth-session" }).start()).toContain(
    "fix the parser",
  );
});

it("[RE8] two successors that start at the same time: one gets the offer", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const second = anotherClaude(runtime, first);
  const third = new Claude(tempRuntime({ beside: runtime }), { cwd: first.cwd, pid: 3_000, session: "third-session" });
  expect([second.start(), third.start()].filter((text) => text.includes("fix the parser"))).toHaveLength(1);
});

it("[RE118] an offer that is undone is made again; a dismissed session is not", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  anotherClaude(runtime, first).start();
  expect(undo(runtime, first.session)).toBe(true);
  const third = new Claude(runtime, { cwd: first.cwd, pid: 3_000, session: "third-session" });
  expect(third.start()).toContain("fix the parser");
  expect(dismiss(runtime, first.session)).toBe(true);
  third.end();
  expect(new Claude(runtime, { cwd: first.cwd, pid: 4_000, session: "fourth-session" }).start()).toBe("");
});

it("[HO58] notices of the store come at the start, and leave the brief its room", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  first.prompt("x".repeat(7_000));
  first.stop("y ".repeat(4_000));
  first.kill();
  runtime.store.write((sql) =>
    Array.from({ length: 20 }, () => add(sql, runtime.now(), "test", "The file was damaged. ".repeat(20))),
  );
  const told = anotherClaude(runtime, first).start();
  expect(told).toContain("SHIM notice: The file was damaged.");
  expect(told).toContain("restore score");
  expect(told.length).toBeLessThan(10_000);
});

it("[RE12] an incomplete session that is older than a week is listed, not offered", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  runtime.wait(8 * 86_400_000);
  expect(anotherClaude(runtime, first).start()).toBe("");
  expect(runtime.store.read((sql) => findIncomplete(sql, runtime.processes, runtime.now()), [])).toHaveLength(1);
});

it("[HO9] a chat that was started for one dead session is not offered another one as well", () => {
  const runtime = tempRuntime();
  const first = aLiveClaude(runtime, "fix the parser");
  first.kill();
  const next = anotherClaude(runtime, first);
  runtime.store.write((sql) => sessions.setRecovery(sql, runtime.now(), first.session, "offered", next.session));
  const second = anotherClaude(runtime, first);
  second.start();
  second.prompt("write the docs");
  second.kill();
  expect(next.start()).toBe("");
});
