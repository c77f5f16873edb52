import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  aDeadClaude,
  aProject,
  anotherClaude,
  Claude,
  journalKinds,
  storedSession,
  aChat,
} from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("the last words that only the transcript has are in the brief, and the readings stay", () => {
  const { runtime, claude: first } = aChat();
  first.prompt("fix the parser");
  first.begin("Bash", { command: "sleep 5" });
  const { readings } = storedSession(runtime, first.session);
  first.say("The fault is in one.ts.");
  appendFileSync(first.transcript, '{"type":"assistant","message":{"role":"assi');
  first.kill();
  const second = anotherClaude(runtime, first);
  expect(second.start()).toContain("the chat's last words:\n- 0 s ago: The fault is in one.ts.");
  expect(storedSession(runtime, first.session).readings).toEqual(readings);
});

it("the prompt of the first survives a chain of deaths", () => {
  const { runtime, claude: first } = aChat();
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
  expect(third.start()).toMatch(/prompts, oldest first:\n- \d s ago: fix the parser\n- \d s ago: [^\n]*go on\n/);
  third.turn("go on again");
  third.kill();
  expect(anotherClaude(runtime, third, { session: "fourth-session" }).start()).toMatch(
    /- \d s ago: fix the parser\n- \d s ago: [^\n]*go on\n- \d s ago: [^\n]*go on again\n/,
  );
});

/** The rule says 200. */
const deaths = Number(process.env["SHIM_EARLY_DEATHS"] ?? 30);

it(
  `the prompt of the first survives ${deaths} early deaths, each before a first checkpoint @night`,
  { timeout: 240_000 + deaths * 2_000 },
  () => {
    const runtime = tempRuntime();
    let claude = new Claude(runtime, { cwd: aProject() });
    claude.prompt("write the parser");
    claude.kill();
    for (let n = 1; n <= deaths; n++) {
      claude = anotherClaude(runtime, claude, { session: `session-${n}` });
      expect(claude.start()).toContain("s ago: write the parser");
      claude.prompt(`go on ${n}`);
      claude.kill();
    }
    expect(anotherClaude(runtime, claude, { session: "the-last" }).start()).toContain("write the parser");
  },
);

it("the next start's brief holds what the store could not take at the end", () => {
  const { runtime, claude: first } = aChat({ busyMs: 10 });
  first.turn("fix the parser");
  const other = tempRuntime({ beside: runtime }).store.connection();
  other.run("BEGIN IMMEDIATE");
  first.prompt("and its tests");
  other.run("COMMIT");
  expect(journalKinds(runtime, first.session).at(-1)).toBe("turn_end");
  first.kill();
  expect(anotherClaude(runtime, first).start()).toContain(") and its tests\n");
});

it("an end that two hooks report one after the other is recorded once", () => {
  const { runtime, claude } = aChat({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" }, hooks: 2 });
  for (const kind of ["end", "detached"]) {
    claude.prompt(`one with ${kind}`);
    if (kind === "end") claude.stop();
    claude.tell("SessionEnd", { reason: "other" });
    expect(journalKinds(runtime, claude.session).filter((each) => each === kind)).toHaveLength(1);
  }
});

it("a successor that changes a file of the dead session recovers it with its next checkpoint", () => {
  const { runtime, claude: first } = aChat();
  const [read, changed] = [join(first.cwd, "read.ts"), join(first.cwd, "changed.ts")];
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
  const by = { recoveryBy: second.session };
  expect(storedSession(runtime, first.session)).toMatchObject({ recovery: "offered", ...by });
  second.prompt("go on");
  second.write(changed, "three");
  second.stop();
  expect(storedSession(runtime, first.session)).toMatchObject({ recovery: "recovered", ...by });
  second.end();
  expect(anotherClaude(runtime, second, { session: "third-session" }).start()).toBe("");
});

it("of a dead session that changed no file, a change of one that it had read continues it", () => {
  const { runtime, claude: first } = aChat();
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

it("a run without a user is given one line, and the offer waits for a chat with a user", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const script = tempRuntime({ beside: runtime, env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  const second = anotherClaude(script, first);
  const line = `^SHIM: session ${first.session} of this project died \\d+ s ago\\. .*Otherwise ignore this\\.$`;
  expect(second.start()).toMatch(new RegExp(line));
  second.turn("write a commit message");
  expect(storedSession(runtime, first.session).recovery).toBeNull();
  const third = anotherClaude(runtime, first, { pid: 3_000, session: "third-session" });
  expect(third.start()).toContain("s ago: fix the parser");
});

it("under the setting resume such a run continues, too; where nothing died it is given nothing", () => {
  const options = { env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" }, config: { recovery: "resume" } };
  const runtime = tempRuntime(options);
  expect(anotherClaude(runtime, aDeadClaude(runtime)).start()).toContain("Continue this work now");
  expect(aChat(options).claude.start()).toBe("");
});

it("a chat that does a task of a worker is offered no dead session, under no setting", () => {
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
