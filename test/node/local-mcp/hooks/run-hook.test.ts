import { appendFileSync } from "node:fs";
import { expect, it } from "vitest";
import * as servers from "#src/local-mcp/sessions/servers.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { pause } from "#src/store/pause.ts";
import {
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

it("[JO4] a text that the transcript tells with the next prompt belongs to the turn before it", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("one");
  const line = anAssistantLine({ content: [{ type: "text", text: "interrupted answer" }] });
  appendFileSync(claude.transcript, `${line}\n`);
  claude.prompt("two");
  expect(journalKinds(runtime, claude.session)).toEqual(["prompt", "assistant", "prompt"]);
});

it("[JO2] the last message of a turn, told by the hook and by the transcript, stands once; said again in the next turn, again", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  for (const prompt of ["one", "two"]) {
    claude.prompt(prompt);
    const line = anAssistantLine({ content: [{ type: "text", text: "Done." }] });
    appendFileSync(claude.transcript, `${line}\n`);
    claude.stop("Done.");
  }
  expect(journalKinds(runtime, claude.session).filter((kind) => kind === "assistant")).toHaveLength(2);
});

it("[RE74] a client that is stopped in the middle of a turn ends with the reason other and no Stop", () => {
  const runtime = tempRuntime();
  const first = aLiveClaude(runtime, "fix the parser");
  first.begin("Bash", { command: "sleep 5" });
  first.end("other");
  expect(storedSession(runtime, first.session)).toMatchObject({ endedAt: null, detachReason: "interrupted" });
  const brief = anotherClaude(runtime, first).start();
  expect(brief).toContain("why it died: closed");
  expect(brief).toContain("was running when it died: Bash sleep 5");
});

it("[RE2] an exit of the user in the middle of a turn is the end", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  first.prompt("fix the parser");
  first.begin("Bash", { command: "sleep 5" });
  first.end("prompt_input_exit");
  expect(anotherClaude(runtime, first).start()).toBe("");
});

it("[ID2] /clear ends the old session and begins a new one in the same process, with no brief of the old one", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  const old = claude.session;
  claude.start();
  claude.turn("fix the parser");
  expect(claude.clear("5c1e0000-0000-4000-8000-000000000001")).toBe("");
  expect(storedSession(runtime, old).endReason).toBe("clear");
  expect(storedSession(runtime, claude.session)).toMatchObject({ origin: "clear", endedAt: null });
  claude.prompt("next");
  claude.kill();
  expect(anotherClaude(runtime, claude).start()).toContain("goal: next");
});

it("[ID2] a client that moves on without a word has finished the session it leaves; a late event of that one moves nothing", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  const old = claude.session;
  claude.turn("one");
  claude.session = "5c1e0000-0000-4000-8000-000000000001";
  claude.prompt("two");
  expect(storedSession(runtime, old).endReason).toBe("moved_on");
  claude.tell("SubagentStop", {
    session_id: old,
    agent_id: "a1",
    agent_type: "Explore",
    last_assistant_message: "late",
  });
  expect(storedSession(runtime, claude.session).endedAt).toBeNull();
  expect(storedSession(runtime, old).endReason).toBe("moved_on");
});

it("[ID4] a second client that opens a session which is alive gets one of its own, a fork; each keeps its own end", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  first.turn("one");
  const second = new Claude(runtime, { cwd: first.cwd, session: first.session, pid: 2_000 });
  second.start("resume");
  second.prompt("two");
  const fork = runtime.store.read((sql) => sessions.list(sql), []).find((one) => one.parentId === first.session);
  expect(fork).toMatchObject({ origin: "fork", owner: { pid: 2_000 } });
  second.end();
  expect(storedSession(runtime, first.session).endedAt).toBeNull();
  expect(storedSession(runtime, fork?.id ?? "").endedAt).not.toBeNull();
});

it("[ID4] --fork-session has a new id of its own and leaves the old session as it is", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  first.turn("one");
  first.end();
  const fork = anotherClaude(runtime, first);
  expect(fork.start("fork")).toBe("");
  expect(storedSession(runtime, fork.session).origin).toBe("fork");
  expect(storedSession(runtime, first.session).endedAt).not.toBeNull();
});

it("[HO7] a client that could not resume a session ends with its id: that closes nothing", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  first.prompt("fix the parser");
  first.kill();
  const failed = new Claude(runtime, { cwd: first.cwd, session: first.session, pid: 2_000 });
  failed.end("other");
  expect(storedSession(runtime, first.session)).toMatchObject({ endedAt: null, detachedAt: null });
  expect(anotherClaude(runtime, first).start()).toContain("fix the parser");
});

it("[HO7] an end without a process that can be told closes no session whose client lives", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("fix the parser");
  const stranger = new Claude(runtime, { cwd: claude.cwd, session: claude.session, pid: 2_000 });
  stranger.kill();
  stranger.tell("SessionEnd", { reason: "other" });
  expect(storedSession(runtime, claude.session)).toMatchObject({ endedAt: null, detachedAt: null });
});

it("[ID1] a reused pid and a reboot are seen: the session is dead", () => {
  for (const what of ["reuse", "reboot"] as const) {
    const runtime = tempRuntime();
    const first = new Claude(runtime, { cwd: aProject() });
    first.turn("fix the parser");
    if (what === "reboot") runtime.processes.reboot();
    runtime.processes.start(first.pid);
    expect(anotherClaude(runtime, first).start(), what).toContain("fix the parser");
  }
});

it("[HO4] the death of the MCP process is told once, with the next prompt, and only while no other serves the client", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  const client = runtime.processes.start(claude.pid);
  servers.register(runtime, runtime.processes.start(5_000, claude.pid), client);
  claude.start();
  expect(claude.prompt("one").systemMessage).toBeUndefined();
  runtime.processes.kill(5_000);
  expect(claude.use("Bash").systemMessage).toBeUndefined();
  expect(claude.prompt("two").systemMessage).toContain("MCP process has died");
  expect(claude.prompt("three").systemMessage).toBeUndefined();
  servers.register(runtime, runtime.processes.start(5_001, claude.pid), client);
  servers.register(runtime, runtime.processes.start(5_002, claude.pid), client);
  runtime.processes.kill(5_001);
  expect(claude.prompt("four").systemMessage).toBeUndefined();
});

it("[HO12] a Stop, a compaction and an end print nothing that could make the client go on or stop", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("one");
  claude.use("Bash", { command: "ls" });
  expect([
    claude.stop(),
    claude.tell("PreCompact", { trigger: "auto" }),
    claude.tell("PostCompact", { trigger: "auto", compact_summary: "s" }),
    claude.end(),
  ]).toEqual([{}, {}, {}, {}]);
});

it("[HO10] while SHIM is paused a hook stores nothing and says nothing", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  runtime.store.write((sql) => pause(sql, runtime.now(), null, claude.cwd));
  claude.start();
  claude.turn("a secret plan");
  expect([rowCount(runtime, "sessions"), rowCount(runtime, "journal"), rowCount(runtime, "checkpoints")]).toEqual([
    0, 0, 0,
  ]);
});

it("[ID3] a session that was ended or detached and is seen alive again is open again; what comes late opens nothing", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("one");
  claude.tell("SessionEnd", { reason: "logout" });
  claude.tell("PostToolUse", { tool_name: "Bash", tool_use_id: "late", tool_input: {} });
  expect(storedSession(runtime, claude.session).endedAt).not.toBeNull();
  claude.prompt("two");
  expect(storedSession(runtime, claude.session)).toMatchObject({ endedAt: null, endReason: null });
});

it("[JO5] prompts without an id of their own: the same words in a later turn are another prompt", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject(), hooks: 2 });
  for (let turn = 0; turn < 2; turn++) {
    claude.tell("UserPromptSubmit", { prompt: "continue" });
    claude.tell("Stop", { last_assistant_message: "Done." });
  }
  expect(journalKinds(runtime, claude.session)).toEqual([
    "prompt",
    "assistant",
    "turn_end",
    "prompt",
    "assistant",
    "turn_end",
  ]);
});
