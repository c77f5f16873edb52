import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { findIncomplete } from "#src/machine/recovery/incomplete/detect.ts";
import { take, undo } from "#src/machine/recovery/marks.ts";
import { quotedTitle } from "#src/shared/format.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import * as notices from "#src/store/notices.ts";
import { aChatAtWork, anotherClaude, Claude, journalKinds, storedSession, claimOf } from "#harness/machine/claude.ts";
import { aChat, aDeadClaude } from "#harness/machine/claude.ts";
import { anAssistantLine, aToolResultLine, aUserLine } from "#harness/machine/transcripts.ts";
import { connect } from "#harness/machine/mcp-process.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

function aClosedChat(answer = "Done.", entryPoint?: string): { runtime: TempRuntime; claude: Claude } {
  const { runtime, claude } = aChat({ env: { CLAUDE_CODE_ENTRYPOINT: entryPoint } });
  claude.start();
  claude.turn("fix the parser", answer);
  close(runtime, claude);
  return { runtime, claude };
}

function close(runtime: TempRuntime, claude: Claude): void {
  runtime.wait(60_000);
  claude.end("other");
}

/** The next chat of the same project, with what its model and its user are given. */
function nextChat(runtime: TempRuntime, like: Claude, session: string): { claude: Claude; text: string; line: string } {
  const claude = new Claude(runtime, { cwd: like.cwd, session, pid: 5_000 + session.length });
  const { hookSpecificOutput, systemMessage } = claude.tell("SessionStart", { source: "startup" });
  return { claude, text: hookSpecificOutput?.additionalContext ?? "", line: systemMessage ?? "" };
}

function incomplete(runtime: TempRuntime): string[] {
  const found = runtime.store.read((sql) => findIncomplete(sql, runtime), []);
  return found.map(({ session }) => `${session.id} ${session.ending?.cause}`);
}

it.each(["cli", "claude-vscode", undefined])(
  "a chat with a user (entry point %s) that is closed between two turns is not finished",
  (entryPoint) => {
    const { runtime, claude: closed } = aClosedChat("Done.", entryPoint);
    expect(storedSession(runtime, closed.session)).toMatchObject({ ending: { how: "closed", isOpen: false } });
    expect(journalKinds(runtime, closed.session).at(-1)).toBe("detached");
    expect(incomplete(runtime)).toEqual([`${closed.session} closed`]);
  },
);

it.each(["sdk-cli", "sdk-ts", "sdk-py", "mcp", "claude-code-github-action"])(
  "a run without a user (%s) that ends after its turn is finished, one that is cut off in its turn is not",
  (entryPoint) => {
    const { runtime, claude: done } = aClosedChat("Done.", entryPoint);
    expect(storedSession(runtime, done.session)).toMatchObject({ ending: { how: "ended", reason: "other" } });
    const cut = anotherClaude(runtime, done);
    cut.prompt("and the lexer");
    cut.begin("Bash", { command: "make" });
    cut.end("other");
    expect(incomplete(runtime)).toEqual([`${cut.session} closed`]);
  },
);

type Report = "hook" | "sigint" | "stdin_end" | "client_gone" | "parent_death";

it.each<[Report[], string]>([
  [["hook", "sigint", "stdin_end"], "by an unknown signal"],
  [["sigint", "hook", "client_gone"], "by an unknown signal"],
  [["stdin_end", "hook", "sigint"], "by an unknown signal"],
  [["client_gone", "hook"], "before its turn was over"],
  [["hook", "parent_death"], "before its turn was over"],
])("the report that says most of the end of a turn is its cause, in any order: %j", (reports, reason) => {
  const { runtime, claude } = aChat();
  claude.prompt("fix the parser");
  claude.begin("Bash", { command: "make" });
  for (const report of reports) {
    if (report === "hook") claude.end("other");
    else runtime.store.write((sql) => reportEnd(sql, runtime, claude.session, report));
  }
  expect(storedSession(runtime, claude.session).ending?.detail).toContain(reason);
  expect(incomplete(runtime)).toEqual([`${claude.session} closed`]);
});

it.each(["prompt_input_exit", "logout", "clear", "resume", "bypass_permissions_disabled"])(
  "SessionEnd %s is the user's own action, and the end, also in the middle of a turn",
  (reason) => {
    for (const isInTurn of [false, true]) {
      const { runtime, claude } = aChat();
      claude.turn("fix the parser", "Shall I go on?");
      if (isInTurn) claude.prompt("go on");
      if (isInTurn) claude.begin("Bash", { command: "sleep 5" });
      claude.end(reason);
      runtime.store.write((sql) => reportEnd(sql, runtime, claude.session, "client_gone"));
      expect(storedSession(runtime, claude.session)).toMatchObject({ ending: { how: "ended", reason } });
      expect(anotherClaude(runtime, claude).start()).toBe("");
    }
  },
);

it("a closed chat with a question to the user is offered with its brief, to three chats", () => {
  const { runtime, claude: closed } = aClosedChat("Fixed. Shall I write **the tests**?*");
  expect(storedSession(runtime, closed.session).ending).toMatchObject({ how: "closed", isOpen: true });
  for (const name of ["first", "second-", "third--"]) {
    const { claude, text, line } = nextChat(runtime, closed, name);
    expect(text).toContain("ago: fix the parser");
    expect(line).toMatch(/^SHIM: "fix the parser" was closed \d+ (s|min) ago with work open; Claude has its brief\./);
    claude.prompt("something else");
    claude.end();
  }
  expect(nextChat(runtime, closed, "fourth---")).toMatchObject({ text: "", line: "" });
  expect(incomplete(runtime)).toEqual([`${closed.session} closed`]);
});

it("chats closed with nothing open are mentioned once, the newest by title, and only listed after that", () => {
  const { runtime, claude: first } = aChat();
  const last = anotherClaude(runtime, first);
  for (const claude of [first, last]) claude.turn("fix the parser");
  runtime.wait(60_000);
  for (const claude of [first, last]) claude.end("other");
  runtime.wait(14 * 3_600_000);
  const { claude, text, line } = nextChat(runtime, first, "next");
  expect(line).toMatch(/^SHIM: your last chat here, "fix the parser", was closed 14 h ago, and 1 more before it\./);
  expect(text).toContain(`shim_check_recovery (of "${last.session}", take true)`);
  expect(text).toContain("1 more chats of this project were closed before it.");
  expect([text.length < 600, text.includes("recovered data")]).toEqual([true, false]);
  claude.prompt("something else");
  claude.end();
  expect(nextChat(runtime, first, "later-")).toMatchObject({ text: "", line: "" });
  expect(incomplete(runtime)).toEqual([`${last.session} closed`, `${first.session} closed`]);
  undo(runtime, last.session);
  expect(nextChat(runtime, first, "latest--").line).toContain("your last chat here");
});

it("a session that died comes before those that were closed later", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime, "the important one");
  for (let n = 0; n < 3; n++) {
    const claude = new Claude(runtime, { cwd: dead.cwd, session: `closed-chat-${n}`, pid: 2_000 + n });
    claude.turn(`evening ${n}`);
    close(runtime, claude);
  }
  const { text, line } = nextChat(runtime, dead, "next");
  expect(text).toContain("ago: the important one");
  expect(line).toContain('"the important one" died');
  expect(line).not.toContain("more");
});

it("a title is one short line without control characters, escape sequences, marks of direction and quotes", () => {
  const hostile = '\u001b[31mred\u001b[0m "one"\r\n\u0007two\u202e three\u2028four';
  expect(quotedTitle(hostile)).toBe(`"red 'one' two three four"`);
  expect(quotedTitle("long ".repeat(40))).toMatch(/^"long long .{40,50} \.\.\."$/);
  expect(Array.from(quotedTitle("\u{1F600}".repeat(100)))).toHaveLength(62);
  expect([" \u0000 ", null].map(quotedTitle)).toEqual(["an untitled chat", "an untitled chat"]);
});

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
  expect(claimOf(runtime, first.session)?.is).toBe("recovered");
  second.kill();
  const third = anotherClaude(runtime, second, { session: "third-session" });
  expect(third.start()).toMatch(
    /prompts, oldest first:\n- \d s ago: \(to session 20487890, which it continues\) fix the parser\n- \d s ago: go on\n/,
  );
  third.turn("go on again");
  third.kill();
  expect(anotherClaude(runtime, third, { session: "fourth-session" }).start()).toMatch(
    /- \d s ago: [^\n]*fix the parser\n- \d s ago: [^\n]*go on\n- \d s ago: [^\n]*go on again\n/,
  );
});

it("the tool for recall quotes the sessions that a chat continues, by default, else those that it names", async () => {
  const { runtime, claude: first } = aChat();
  first.prompt("paint the hull red, and never the rudder");
  first.write(join(first.cwd, "hull.ts"), "red");
  first.stop();
  first.kill();
  const second = anotherClaude(runtime, first, { session: "second-session" });
  second.start();
  second.prompt("go on");
  second.write(join(second.cwd, "mast.ts"), "tall");
  second.stop();
  second.kill();
  const third = anotherClaude(runtime, second, { session: "third-session" });
  third.start();
  third.prompt("go on");
  const { ask } = await connect(runtime, { clientPid: third.pid });
  const quoted = async (question: object): Promise<unknown> =>
    (await ask("shim_recall", { session: third.session, ...question })).output["message"];
  expect(await quoted({ words: "rudder" })).toMatch(
    /of session [\w-]{8}, which it continues\):\npaint the hull red, and never the rudder/,
  );
  expect(await quoted({ prompt: -1 })).toContain("mast.ts");
  expect(await quoted({ of: first.session, at: "1d" })).toContain("never the rudder");
  await expect(quoted({ words: "x", at: "soon" })).rejects.toThrow('"soon" is no time: give an age');
  await expect(quoted({ words: "x", of: "nobody" })).rejects.toThrow('knows no session "nobody"');
});

const deaths = Number(process.env["SHIM_EARLY_DEATHS"] ?? 30);
const time = { timeout: 240_000 + deaths * 2_000 };

it(`the prompt of the first survives ${deaths} early deaths, each before a first checkpoint @night`, time, () => {
  const runtime = tempRuntime();
  let claude = aDeadClaude(runtime, "write the parser");
  for (let n = 1; n <= deaths; n++) {
    claude = anotherClaude(runtime, claude, { session: `session-${n}` });
    expect(claude.start()).toMatch(/s ago: (?:\(to session \S+, which it continues\) )?write the parser/);
    claude.prompt(`go on ${n}`);
    claude.kill();
  }
  expect(anotherClaude(runtime, claude, { session: "the-last" }).start()).toContain("write the parser");
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
  const by = { by: second.session };
  expect(claimOf(runtime, first.session)).toMatchObject({ is: "offered", ...by });
  second.prompt("go on");
  second.write(changed, "three");
  second.stop();
  expect(claimOf(runtime, first.session)).toMatchObject({ is: "recovered", ...by });
  second.end();
  expect(anotherClaude(runtime, second, { session: "third-session" }).start()).toBe("");
});

it("a chat that `shim resume` started is offered no other session; one that lives again is taken by no yes", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime, "one");
  const second = new Claude(runtime, { cwd: first.cwd, session: "second-session", pid: 2_000 });
  second.prompt("two");
  second.kill();
  take(runtime, { session: first.session, to: "started", score: null });
  const resumed = tempRuntime({ beside: runtime, env: { SHIM_SUCCESSOR: "started" } });
  expect(nextChat(resumed, first, "next").text).not.toContain("ago: two");
  const { claude, text } = nextChat(runtime, first, "other");
  expect(text).toContain("ago: two");
  new Claude(runtime, { cwd: first.cwd, session: second.session, pid: 3_000 }).start("resume");
  expect(claude.prompt("continue").systemMessage).toBeUndefined();
  expect(claimOf(runtime, second.session)).toBeNull();
});

it("a chat that has the brief of a session is told, with its next prompt, that the session is open again", () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime);
  const { claude: second, text } = nextChat(runtime, first, "second-session");
  expect(text).toContain("fix the parser");
  first.resume();
  const { hookSpecificOutput, systemMessage } = second.prompt("continue");
  const told = `Session ${first.session}, which this chat was given to continue, is open again in its own client`;
  expect(hookSpecificOutput?.additionalContext).toContain(told);
  expect(systemMessage ?? "").not.toContain("this chat continues");
  expect(claimOf(runtime, first.session)).toBeNull();
  first.prompt("go on");
  expect(second.prompt("and now?").hookSpecificOutput?.additionalContext ?? "").not.toContain("is open again");
});

it.each(["sdk-cli", "sdk-ts", "sdk-py", "mcp", "claude-code-github-action"])(
  "a run without a user (%s) is given one line, and the offer waits for a chat with a user",
  (entryPoint) => {
    const runtime = tempRuntime();
    const first = aDeadClaude(runtime);
    const script = tempRuntime({ beside: runtime, env: { CLAUDE_CODE_ENTRYPOINT: entryPoint } });
    const second = anotherClaude(script, first);
    const line = `^SHIM: session ${first.session} of this project died \\d+ s ago\\. .*Otherwise ignore this\\.$`;
    expect(second.start()).toMatch(new RegExp(line));
    second.turn("write a commit message");
    expect(claimOf(runtime, first.session)).toBeNull();
    const third = anotherClaude(runtime, first, { pid: 3_000, session: "third-session" });
    expect(third.start()).toContain("s ago: fix the parser");
  },
);

it("a chat that does a task of a worker is offered no dead session, under no setting", () => {
  for (const recovery of ["brief", "resume"]) {
    const runtime = tempRuntime({ config: { recovery } });
    const first = aDeadClaude(runtime);
    const env = { CLAUDE_CODE_ENTRYPOINT: "sdk-cli", SHIM_TASK: "7" };
    const worker = tempRuntime({ beside: runtime, env, config: { recovery } });
    const second = anotherClaude(worker, first);
    expect(second.start()).toBe("");
    second.turn("do the task");
    expect(claimOf(runtime, first.session)).toBeNull();
  }
});

function stampOf(runtime: TempRuntime): { readonly timestamp: string } {
  return { timestamp: new Date(runtime.now()).toISOString() };
}

function briefOf(runtime: TempRuntime, { session }: Claude): string {
  const from = restoreById(runtime, session);
  return from ? brief(from, runtime.now(), "brief") : "";
}

it("what a chat wrote while no host ran is read as a whole; a part that is too long for that is named", () => {
  const { runtime, claude } = aChatAtWork("rename it");
  const words = [{ type: "text", text: "I begin with the tests." }];
  claude.transcribe(anAssistantLine({ content: words }, stampOf(runtime)));
  claude.transcribe(aToolResultLine("t1", "x".repeat(3_000_000), false, stampOf(runtime)));
  claude.use("Bash", { command: "ls" });
  expect(briefOf(runtime, claude)).toMatch(/I begin with the tests[^]*1 of 1 prompts quoted/);
  claude.transcribe(aToolResultLine("t1", "x".repeat(33 * 1_048_576), false, stampOf(runtime)));
  claude.use("Bash", { command: "ls" });
  expect(briefOf(runtime, claude)).toMatch(/1 part of its transcript could not be read or is missing \(0 s ago\)/);
});

it("where a damaged store was replaced, the brief claims no whole chat, and has what the transcript has", () => {
  const { runtime, claude } = aChatAtWork();
  for (const prompt of ["rename it", "and the docs"]) {
    claude.transcribe(aUserLine(prompt, { uuid: prompt, ...stampOf(runtime) }));
    claude.turn(prompt);
    runtime.wait(60_000);
  }
  runtime.store.close();
  writeFileSync(runtime.paths.database, "rubbish ".repeat(2_000));
  claude.turn("then commit");
  const known = /first seen by SHIM 0 s ago[^]*rename it[^]*3 of at least 3 prompts quoted; the end of/;
  expect(briefOf(runtime, claude)).toMatch(known);
  runtime.wait(60_000);
  runtime.store.write((sql) => notices.add(sql, runtime.now(), "store_damaged", "damaged again"));
  runtime.wait(60_000);
  const damage = "store was found damaged 60 s ago: parts of this session from before may be lost";
  expect(briefOf(runtime, claude)).toContain(damage);
  expect(briefOf(runtime, claude)).toContain("3 of at least 3 prompts quoted; the store may have lost the end");
});
