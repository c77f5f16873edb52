import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { statusOf } from "#src/machine/operations/status-line.ts";
import { spoolEvent } from "#src/local-mcp/events/spool-event.ts";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { findIncomplete } from "#src/machine/recovery/incomplete/detect.ts";
import { undo } from "#src/machine/recovery/marks.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { recordDeath } from "#src/machine/recovery/incomplete/deaths.ts";
import { listCrashes } from "#harness/machine/crashes.ts";
import { prune } from "#src/machine/keeping/retention.ts";
import type { HookInput } from "#src/contract/hook-input.ts";
import { quotedTitle } from "#src/shared/quoted-title.ts";
import {
  anotherClaude,
  Claude,
  journalKinds,
  rowCount,
  storedSession,
  aChat,
  aDeadClaude,
} from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const hour = 3_600_000;

/** A chat of one turn whose terminal was closed later. */
function aClosedChat(answer = "Done.", entryPoint?: string): { runtime: TempRuntime; claude: Claude } {
  const { runtime, claude } = aChat({ env: { CLAUDE_CODE_ENTRYPOINT: entryPoint } });
  claude.start();
  claude.turn("fix the parser", answer);
  close(runtime, claude);
  return { runtime, claude };
}

/** Its terminal is closed, a minute after its turn. */
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
  return runtime.store
    .read((sql) => findIncomplete(sql, runtime.processes, runtime.now()), [])
    .map(({ session, cause }) => `${session.id} ${cause}`);
}

it.each(["cli", "claude-vscode", undefined])(
  "a chat with a user (entry point %s) that is closed between two turns is not finished",
  (entryPoint) => {
    const { runtime, claude: closed } = aClosedChat("Done.", entryPoint);
    expect(storedSession(runtime, closed.session)).toMatchObject({ endedAt: null, detachReason: "closed" });
    expect(journalKinds(runtime, closed.session).at(-1)).toBe("detached");
    expect(incomplete(runtime)).toEqual([`${closed.session} closed`]);
  },
);

it.each(["sdk-cli", "sdk-ts", "sdk-py", "mcp", "claude-code-github-action"])(
  "a run without a user (%s) that ends after its turn is finished, one that is cut off in its turn is not",
  (entryPoint) => {
    const { runtime, claude: done } = aClosedChat("Done.", entryPoint);
    expect(storedSession(runtime, done.session)).toMatchObject({ endReason: "other", detachedAt: null });
    const cut = anotherClaude(runtime, done);
    cut.prompt("and the lexer");
    cut.begin("Bash", { command: "make" });
    cut.end("other");
    expect(incomplete(runtime)).toEqual([`${cut.session} closed`]);
  },
);

type Report = "hook" | "sigint" | "stdin_end" | "client_gone" | "parent_death";

it.each<[Report[], string]>([
  [["hook", "sigint", "stdin_end"], "sigint"],
  [["sigint", "hook", "client_gone"], "sigint"],
  [["stdin_end", "hook", "sigint"], "sigint"],
  [["client_gone", "hook"], "interrupted"],
  [["hook", "parent_death"], "interrupted"],
])("the report that says most of the end of a turn is its cause, in any order: %j", (reports, reason) => {
  const { runtime, claude } = aChat();
  claude.prompt("fix the parser");
  claude.begin("Bash", { command: "make" });
  for (const report of reports) {
    if (report === "hook") claude.end("other");
    else runtime.store.write((sql) => sessions.detach(sql, runtime.now(), claude.session, report, report === "sigint"));
  }
  expect(storedSession(runtime, claude.session).detachReason).toBe(reason);
  expect(incomplete(runtime)).toEqual([`${claude.session} closed`]);
});

it("a client's report that comes after the death was recorded corrects its cause", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("fix the parser");
  runtime.processes.kill(claude.pid);
  runtime.store.write((sql) => recordDeath(sql, runtime, claude.session, "client_gone"));
  const causes = (): string[] => runtime.store.read((sql) => listCrashes(sql), []).map(({ cause }) => cause);
  expect(causes()).toEqual(["killed"]);
  claude.end("other");
  expect(causes()).toEqual(["closed"]);
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
      expect(storedSession(runtime, claude.session).endReason).toBe(reason);
      expect(anotherClaude(runtime, claude).start()).toBe("");
    }
  },
);

it("what the MCP process saw does not change the cause; a chat without a request is finished", () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  runtime.store.write((sql) => sessions.detach(sql, runtime.now(), claude.session, "sighup"));
  claude.end("other");
  runtime.store.write((sql) => sessions.detach(sql, runtime.now(), claude.session, "stdin_end"));
  expect(storedSession(runtime, claude.session)).toMatchObject({ endedAt: null, detachReason: "closed" });
  const empty = anotherClaude(runtime, claude);
  empty.start();
  empty.end("other");
  expect(storedSession(runtime, empty.session).endReason).toBe("other");
});

it("an end that had to wait in the spool counts by the entry point of its own client", () => {
  for (const [own, draining, isEnded] of [
    ["sdk-cli", "cli", true],
    ["cli", "sdk-cli", false],
  ] as const) {
    const { runtime, claude } = aChat({ env: { CLAUDE_CODE_ENTRYPOINT: own } });
    claude.turn("fix the parser");
    const input = claude.input("SessionEnd", { reason: "other" }) as HookInput;
    spoolEvent(runtime, { clientName: "claude-code", event: "SessionEnd", input, clientPid: claude.pid });
    drainInto(tempRuntime({ beside: runtime, env: { CLAUDE_CODE_ENTRYPOINT: draining } }));
    expect(storedSession(runtime, claude.session).endedAt !== null).toBe(isEnded);
  }
});

it("a closed chat with a question to the user is offered with its brief, to three chats", () => {
  const { runtime, claude: closed } = aClosedChat("Fixed. Shall I write **the tests**?*");
  expect(storedSession(runtime, closed.session).detachReason).toBe("closed_open");
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

it("a chat that is closed with a to-do has work open", () => {
  const { runtime, claude } = aChat();
  claude.prompt("fix the parser");
  claude.use("TaskCreate", { subject: "write the test" }, { task: { id: "1", subject: "write the test" } });
  claude.stop("Later.");
  close(runtime, claude);
  expect(storedSession(runtime, claude.session).detachReason).toBe("closed_open");
});

it("a tool that failed with the end of the turn was killed by the hangup; one that failed before was not", () => {
  for (const [reason, pauseMs] of Object.entries({ closed_open: 0, closed: 60_000 })) {
    const { runtime, claude } = aChat();
    claude.prompt("build it");
    claude.fail("Bash", { command: "make" }, "Exit code 137");
    claude.stop("The build was killed.");
    runtime.wait(pauseMs);
    claude.end("other");
    expect(storedSession(runtime, claude.session).detachReason).toBe(reason);
  }
});

it("chats closed with nothing open are mentioned once, the newest by title, and only listed after that", () => {
  const { runtime, claude: first } = aChat();
  const last = anotherClaude(runtime, first);
  for (const claude of [first, last]) claude.turn("fix the parser");
  runtime.wait(60_000);
  for (const claude of [first, last]) claude.end("other");
  runtime.wait(14 * hour);
  const { claude, text, line } = nextChat(runtime, first, "next");
  expect(line).toBe(
    'SHIM: your last chat here, "fix the parser", was closed 14 h ago, and 1 more before it. To continue it, ask Claude.',
  );
  expect(text).toContain(`shim_check_recovery (of "${last.session}", take true)`);
  expect(text).toContain("1 more chats of this project were closed before it.");
  expect(text.length).toBeLessThan(600);
  expect(text).not.toContain("recovered data");
  claude.prompt("something else");
  claude.end();
  expect(nextChat(runtime, first, "later-")).toMatchObject({ text: "", line: "" });
  expect(incomplete(runtime)).toEqual([`${last.session} closed`, `${first.session} closed`]);
  undo(runtime, last.session);
  expect(nextChat(runtime, first, "latest--").line).toContain("your last chat here");
});

it("opened and closed again, a chat is mentioned again", () => {
  const { runtime, claude: closed } = aClosedChat();
  nextChat(runtime, closed, "next").claude.end();
  closed.resume();
  closed.turn("and the lexer");
  close(runtime, closed);
  expect(nextChat(runtime, closed, "later-").line).toContain("your last chat here");
});

it("a session that died comes before one that was closed later, however many of those there are @night", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime, "the important one");
  for (let n = 0; n < 25; n++) {
    const claude = new Claude(runtime, { cwd: dead.cwd, session: `closed-chat-${n}`, pid: 2_000 + n });
    claude.turn(`evening ${n}`);
    close(runtime, claude);
  }
  const { text, line } = nextChat(runtime, dead, "next");
  expect(text).toContain("ago: the important one");
  expect(line).toContain('"the important one" died');
  expect(line).not.toContain("more");
});

it("a closed chat has not died in the status line, is not named to a script, and is pruned", () => {
  const { runtime, claude: closed } = aClosedChat();
  const beside = anotherClaude(runtime, closed);
  beside.prompt("next");
  expect(statusOf(runtime, JSON.stringify({ session_id: beside.session })).died).toBe(0);
  const script = tempRuntime({ beside: runtime, env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  expect(nextChat(script, closed, "script").text).toBe("");
  runtime.wait(31 * 24 * hour);
  runtime.store.write((sql) => prune(sql, runtime.now(), runtime.config.retention, 1_000));
  expect(rowCount(runtime, "sessions")).toBe(1);
});

it("a closed chat that is opened again is given nothing where nothing has changed, else what has", () => {
  const { runtime, claude: closed } = aChat();
  const path = join(closed.cwd, "a.ts");
  closed.prompt("fix the parser");
  closed.write(path, "old");
  closed.stop();
  const reopen = (meanwhile = (): void => undefined): string => {
    close(runtime, closed);
    meanwhile();
    return closed.resume();
  };
  expect(reopen()).toBe("");
  closed.turn("go on");
  expect(reopen()).toBe("");
  closed.turn("go on");
  expect(reopen(() => writeFileSync(path, "new"))).toContain("CHANGED");
});

it.each([
  ["ask", "Claude asks whether to continue it."],
  ["brief", "Claude has its brief."],
  ["resume", "Claude continues it."],
])("with the setting %s the user reads what died, when, why, what Claude does and how to say no", (recovery, does) => {
  const runtime = tempRuntime({ config: { recovery } });
  const dead = aDeadClaude(runtime, "Make the parser faster\nand smaller");
  runtime.wait(150_000);
  expect(nextChat(runtime, dead, "next").line).toBe(
    `SHIM: "Make the parser faster" died 2 min ago (killed); ${does} Not this one? Tell Claude, or: \`shim resume --dismiss 20487890\``,
  );
});

it("in the plugin its command says no; others that died are counted; the id is as long as it must be", () => {
  const runtime = tempRuntime({ env: { CLAUDE_PLUGIN_ROOT: "/plugin" } });
  const dead = aDeadClaude(runtime);
  const second = anotherClaude(runtime, dead, { session: `${dead.session.slice(0, 10)}-another` });
  second.turn("the lexer");
  second.kill();
  const third = nextChat(runtime, dead, "third-session");
  expect(third.line).toMatch(
    /^SHIM: "the lexer" died \d+ s ago \(killed\); Claude has its brief\. 1 more died unfinished\. Not this one\? \/shim:dismiss$/,
  );
  third.claude.kill();
  const { line } = nextChat(tempRuntime({ beside: runtime }), dead, "fourth-session");
  expect(line).toContain(`--dismiss ${dead.session.slice(0, 10)}-`);
});

it("a run of a script has no line, only the hint for its model", () => {
  const runtime = tempRuntime({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  const dead = aDeadClaude(runtime);
  const { line, text } = nextChat(runtime, dead, "script");
  expect([line, text.includes(dead.session)]).toEqual(["", true]);
});

it("a resumed chat has a line where a tool was running or files have changed, and none otherwise", () => {
  const { runtime, claude } = aChat();
  const path = join(claude.cwd, "a.ts");
  const reopen = (): string | undefined => {
    claude.kill();
    runtime.wait(200_000);
    runtime.processes.start((claude.pid += 10));
    return claude.tell("SessionStart", { source: "resume" }).systemMessage;
  };
  claude.prompt("fix the parser");
  claude.write(path, "old");
  claude.stop();
  expect(reopen()).toBeUndefined();
  claude.prompt("build it");
  claude.begin("Bash", { command: "make" });
  writeFileSync(path, "new");
  const line = "SHIM: this chat died 3 min ago (killed); Bash was running, 1 file changed since. Claude knows.";
  expect(reopen()).toBe(line);
});

it("a title is one short line without control characters, escape sequences, marks of direction and quotes", () => {
  expect(quotedTitle('\u001b[31mred\u001b[0m "one"\r\n\u0007two\u202e three\u2028four')).toBe(
    "\"red 'one' two three four\"",
  );
  expect(quotedTitle("long ".repeat(40))).toMatch(/^"long long .{40,50} \.\.\."$/);
  expect(Array.from(quotedTitle("\u{1F600}".repeat(100)))).toHaveLength(62);
  expect(quotedTitle(" \u0000 ")).toBe("an untitled chat");
  expect(quotedTitle(null)).toBe("an untitled chat");
});
