import { expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { summarizeUnread } from "#src/local-mcp/events/unread-input.ts";
import { pause } from "#src/store/pause.ts";
import { aLiveClaude, anotherClaude, journalKinds } from "#harness/machine/claude.ts";
import { storedSession, aChat, rowCount, Claude } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("the last message of a turn, given by the hook and by the transcript, is kept once; said again in the next turn, again", () => {
  const { runtime, claude } = aChat();
  for (const prompt of ["one", "two"]) {
    claude.prompt(prompt);
    claude.say("Done.");
    claude.stop("Done.");
  }
  expect(journalKinds(runtime, claude.session).filter((kind) => kind === "assistant")).toHaveLength(2);
});

it("a client that is stopped in the middle of a turn ends with the reason other and no Stop", () => {
  const runtime = tempRuntime();
  const first = aLiveClaude(runtime, "fix the parser");
  first.begin("Bash", { command: "sleep 5" });
  first.end("other");
  expect(storedSession(runtime, first.session)).toMatchObject({ endedAt: null, detachReason: "interrupted" });
  expect(anotherClaude(runtime, first).start()).toMatch(/why it died: closed[^]*in mid-turn, running Bash sleep 5/);
});

it("an end by a client that could not resume, or without a known process, closes no session of another client", () => {
  for (const isKnown of [true, false]) {
    const { runtime, claude } = aChat();
    claude.prompt("fix the parser");
    const stranger = new Claude(runtime, { cwd: claude.cwd, session: claude.session, pid: 2_000 });
    if (isKnown) claude.kill();
    else stranger.kill();
    stranger.tell("SessionEnd", { reason: "other" });
    expect(storedSession(runtime, claude.session)).toMatchObject({ endedAt: null, detachedAt: null });
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

it("/clear ends the old session and begins a new one in the same process, with no brief of the old one", () => {
  const { runtime, claude } = aChat();
  const old = claude.session;
  claude.turn("fix the parser");
  expect(claude.clear("5c1e0000-0000-4000-8000-000000000001")).toBe("");
  expect(storedSession(runtime, old).endReason).toBe("clear");
  expect(storedSession(runtime, claude.session)).toMatchObject({ origin: "clear", endedAt: null });
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
  const [left, current] = [old, claude.session].map((id) => storedSession(runtime, id).endReason);
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
  expect(storedSession(runtime, first.session).endedAt).toBeNull();
  expect(storedSession(runtime, fork?.id ?? "").endedAt).not.toBeNull();
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
  const endings = [serve(), serve()];
  endings[0]?.(true);
  expect(warning("four")).toBeUndefined();
  endings[1]?.(false);
  expect(warning("five")).toBeUndefined();
});

it("a session that has ended and is seen alive again is open again, and not on offer; what comes late opens nothing", () => {
  const { runtime, claude } = aChat();
  claude.turn("one");
  claude.tell("SessionEnd", { reason: "logout" });
  claude.tell("PostToolUse", { tool_name: "Bash", tool_use_id: "late", tool_input: {} });
  expect(storedSession(runtime, claude.session).endedAt).not.toBeNull();
  runtime.store.write((sql) => sessions.setRecovery(sql, 1, claude.session, "offered", "s2"));
  claude.prompt("two");
  const open = { endedAt: null, endReason: null, recovery: null, recoveryBy: null, recoveryAt: null };
  expect(storedSession(runtime, claude.session)).toMatchObject(open);
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
