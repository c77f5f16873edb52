import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { aDeadClaude, aProject, anotherClaude, Claude, journalKinds, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";

it("[RE13] the last words that stand only in the transcript are in the brief, and the readings stay", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  first.prompt("fix the parser");
  first.begin("Bash", { command: "sleep 5" });
  const { readings } = storedSession(runtime, first.session);
  appendFileSync(
    first.transcript,
    `${anAssistantLine({ content: [{ type: "text", text: "The fault is in one.ts." }] })}\n`,
  );
  first.kill();
  const second = anotherClaude(runtime, first);
  expect(second.start()).toContain("- assistant: The fault is in one.ts.");
  expect(storedSession(runtime, first.session).readings).toEqual(readings);
});

it("[CP41] [CP12] the goal of the first lives through a chain of deaths", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const parser = join(first.cwd, "parser.ts");
  first.prompt("fix the parser");
  first.write(parser, "one");
  first.stop();
  first.kill();
  const second = anotherClaude(runtime, first, { session: "second-session" });
  second.start();
  second.prompt("go on");
  second.write(parser, "two");
  second.stop();
  expect(storedSession(runtime, first.session).recovery).toBe("recovered");
  second.kill();
  const third = anotherClaude(runtime, second, { session: "third-session" });
  const line = `before it: session ${first.session} had died and was handed to it; goal: fix the parser`;
  expect(third.start()).toContain(`goal: fix the parser (the session before)\n${line}`);
  third.turn("go on again");
  third.kill();
  const brief = anotherClaude(runtime, third, { session: "fourth-session" }).start();
  expect(brief).toContain("before it: session second-session had died and was handed to it; goal: fix the parser");
});

it("[CP41] the brief of a successor that died before its first checkpoint still names the first goal", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const second = anotherClaude(runtime, first, { session: "second-session" });
  second.start();
  second.prompt("go on");
  second.kill();
  const brief = anotherClaude(runtime, second, { session: "third-session" }).start();
  expect(brief).toContain("goal: fix the parser");
  expect(brief).toContain("1 more incomplete");
});

it("[CP41] the goal of the first lives through many early deaths, each before a first checkpoint", () => {
  const runtime = tempRuntime();
  let claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("write the parser");
  claude.kill();
  for (let n = 1; n <= 30; n++) {
    claude = anotherClaude(runtime, claude, { session: `session-${n}` });
    claude.start();
    claude.prompt(`go on ${n}`);
    claude.kill();
  }
  expect(anotherClaude(runtime, claude, { session: "the-last" }).start()).toContain("write the parser");
});

it("[CP42] a chat that ends without acting on an offer leaves it open", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const second = anotherClaude(runtime, first, { session: "second-session" });
  second.start();
  second.end();
  expect(storedSession(runtime, first.session).recovery).toBe("offered");
  expect(anotherClaude(runtime, second, { session: "third-session" }).start()).toContain("goal: fix the parser");
});

it("[HO11] the next start's brief holds what the store could not take at the end", () => {
  const runtime = tempRuntime({ busyMs: 10 });
  const first = new Claude(runtime, { cwd: aProject() });
  first.turn("fix the parser");
  const other = openBetterSqlite3({ path: runtime.paths.database, readOnly: false, busyMs: 0 });
  other.script("BEGIN IMMEDIATE");
  first.prompt("and its tests");
  other.close();
  expect(journalKinds(runtime, first.session).at(-1)).toBe("turn_end");
  first.kill();
  expect(anotherClaude(runtime, first).start()).toContain("last request: and its tests");
});

it("[HO5] an end that two hooks tell one after the other stands once", () => {
  const runtime = tempRuntime({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  const claude = new Claude(runtime, { cwd: aProject(), hooks: 2 });
  for (const kind of ["end", "detached"]) {
    claude.start();
    claude.prompt(`one with ${kind}`);
    if (kind === "end") claude.stop();
    claude.tell("SessionEnd", { reason: "other" });
    expect(journalKinds(runtime, claude.session).filter((each) => each === kind)).toHaveLength(1);
  }
});

it("[RE82] a successor that changes a file of the dead session recovers it with its next checkpoint", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const [read, changed] = ["read.ts", "changed.ts"].map((name) => join(first.cwd, name)) as [string, string];
  first.prompt("fix the parser");
  first.use("Read", { file_path: read });
  first.write(changed, "one");
  first.kill();
  const second = anotherClaude(runtime, first);
  second.start();
  second.prompt("what is in there?");
  second.use("Read", { file_path: changed });
  second.write(read, "two");
  second.stop();
  expect(storedSession(runtime, first.session)).toMatchObject({ recovery: "offered", recoveryBy: second.session });
  second.prompt("go on");
  second.write(changed, "three");
  second.stop();
  expect(storedSession(runtime, first.session)).toMatchObject({ recovery: "recovered", recoveryBy: second.session });
  second.end();
  expect(new Claude(runtime, { cwd: first.cwd, pid: 3_000, session: "third-session" }).start()).toBe("");
});

it("[RE82] of a dead session that changed no file, a change of one that it had read continues it", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const read = join(first.cwd, "read.ts");
  first.prompt("what is wrong with the parser?");
  first.use("Read", { file_path: read });
  first.kill();
  const second = anotherClaude(runtime, first);
  second.start();
  second.prompt("mend it");
  second.write(read, "two");
  second.stop();
  expect(storedSession(runtime, first.session).recovery).toBe("recovered");
});

it("[RE9] under the setting resume the successor's first checkpoint makes the session recovered", () => {
  const runtime = tempRuntime({ config: { recovery: "resume" } });
  const first = aDeadClaude(runtime);
  const second = anotherClaude(runtime, first);
  expect(second.start()).toContain("Continue this work now");
  second.turn("go on");
  expect(storedSession(runtime, first.session)).toMatchObject({ recovery: "recovered", recoveryBy: second.session });
});

it("[HO13] a run that nobody attends is told in one line, and the offer waits for a chat with a user", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const script = tempRuntime({ beside: runtime, env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  const second = anotherClaude(script, first);
  const told = second.start();
  expect(told).toMatch(
    new RegExp(`^SHIM: session ${first.session} of this project died \\d+ s ago\\. .*Otherwise ignore this\\.$`),
  );
  second.turn("write a commit message");
  expect(storedSession(runtime, first.session).recovery).toBeNull();
  const third = new Claude(runtime, { cwd: first.cwd, pid: 3_000, session: "third-session" });
  expect(third.start()).toContain("goal: fix the parser");
});

it("[HO13] under the setting resume also such a run goes on; where nothing died it is told nothing", () => {
  const env = { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" };
  const runtime = tempRuntime({ env, config: { recovery: "resume" } });
  const first = aDeadClaude(runtime);
  expect(anotherClaude(runtime, first).start()).toContain("Continue this work now");
  expect(new Claude(tempRuntime({ env }), { cwd: first.cwd, pid: 3_000, session: "third-session" }).start()).toBe("");
});

it("[HO15] a chat that does a task of a worker is offered no dead session, under no setting", () => {
  for (const recovery of ["brief", "resume"]) {
    const runtime = tempRuntime({ config: { recovery } });
    const first = aDeadClaude(runtime);
    const env = { CLAUDE_CODE_ENTRYPOINT: "sdk-cli", SHIM_TASK: "7" };
    const worker = tempRuntime({ beside: runtime, env, config: { recovery } });
    const second = anotherClaude(worker, first);
    expect(second.start()).toBe("");
    second.turn("do the task");
    expect(storedSession(runtime, first.session).recovery).toBeNull();
  }
});
