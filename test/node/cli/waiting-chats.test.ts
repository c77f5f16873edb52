import { Claude, aDeadClaude, aProject, anotherClaude, storedSession } from "#harness/machine/claude.ts";
import { type TempRuntime, storedBytes, tempRuntime } from "#harness/machine/temp-runtime.ts";
import { twoChats } from "#harness/team/team-rig.ts";
import { expect, it } from "vitest";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import type { HookEvent, HookInput } from "#src/contract/hook-input.ts";
import { spoolEvent } from "#src/local-mcp/events/spool-event.ts";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import { dismiss, take } from "#src/machine/recovery/marks.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";

const permission = { message: "Claude needs your permission to use Bash", notification_type: "permission_prompt" };

function waiting(runtime: TempRuntime, { session }: Claude): sessions.Waiting | null {
  return storedSession(runtime, session).waiting;
}

function statusFor(runtime: TempRuntime, { session }: Claude): string {
  return renderStatus(statusOf(runtime, JSON.stringify({ session_id: session })), runtime.now());
}

it.each([
  [permission, "permission"],
  [{ message: "x", notification_type: "worker_permission_prompt" }, "permission"],
  [{ message: "x", notification_type: "elicitation_dialog" }, "dialog"],
  [{ message: "x", notification_type: "elicitation_url_dialog" }, "dialog"],
  [{ message: "Claude needs your choice", notification_type: "agent_needs_input" }, "dialog"],
  [{ message: "Claude is waiting for your input", notification_type: "idle_prompt" }, "prompt"],
  [{ message: "Claude needs your permission to use Bash" }, "permission"],
  [{ message: "Claude is waiting for your input" }, "prompt"],
  [{ message: "Signed in", notification_type: "auth_success" }, undefined],
  [{ message: "Claude needs your permission", notification_type: "constructor" }, undefined],
  [{}, undefined],
])("the notification %j marks the chat as waiting: %s", (fields, what) => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("deploy it");
  expect(claude.tell("Notification", fields)).toEqual({});
  expect(waiting(runtime, claude)?.for).toBe(what);
  expect(waiting(runtime, claude)?.since).toBe(what === undefined ? undefined : runtime.now());
  expect(storedBytes(runtime.paths)).not.toContain("needs your permission to use");
});

it.each(["AskUserQuestion", "ExitPlanMode"])("a call of %s marks the chat as waiting, its answer ends that", (tool) => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const second = anotherClaude(runtime, first);
  for (const claude of [first, second]) claude.prompt("plan it");
  const call = second.begin(tool, {});
  expect(waiting(runtime, second)).toEqual({ for: "dialog", since: runtime.now() });
  expect(statusFor(runtime, first)).toContain("| 1 waits for you");
  second.done(call, tool);
  expect(waiting(runtime, second)).toBeNull();
});

it.each<[HookEvent, Record<string, unknown>, boolean]>([
  ["UserPromptSubmit", { prompt: "yes" }, false],
  ["PreToolUse", { tool_name: "Bash", tool_use_id: "t1", tool_input: {} }, false],
  ["PostToolUse", { tool_name: "Bash", tool_use_id: "t1", tool_input: {} }, false],
  ["PostToolUseFailure", { tool_name: "Bash", tool_use_id: "t1", tool_input: {}, error: "no" }, false],
  ["Stop", { last_assistant_message: "Done." }, false],
  ["StopFailure", { error: "rate_limit" }, false],
  ["SessionStart", { source: "resume" }, false],
  ["SessionEnd", { reason: "logout" }, false],
  ["SubagentStop", { agent_id: "a", agent_type: "Explore" }, true],
  ["Notification", { message: "Signed in", notification_type: "auth_success" }, true],
])("%s ends the waiting or leaves it", (event, fields, isLeft) => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("deploy it");
  claude.tell("Notification", permission);
  const since = runtime.now();
  claude.tell("Notification", permission);
  expect(waiting(runtime, claude)).toEqual({ for: "permission", since });
  claude.tell(event, fields);
  expect(waiting(runtime, claude) !== null).toBe(isLeft);
});

it("a notification that had to wait in the spool marks nothing", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("deploy it");
  const input = claude.input("Notification", permission) as HookInput;
  spoolEvent(runtime, { clientName: "claude-code", event: "Notification", input, clientPid: claude.pid });
  drainInto(runtime);
  expect(waiting(runtime, claude)).toBeNull();
});

it("the status line counts other living chats that wait for their user, not itself and not the dead", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const second = anotherClaude(runtime, first);
  for (const claude of [first, second]) {
    claude.prompt("deploy it");
    claude.tell("Notification", permission);
  }
  expect(statusFor(runtime, first)).toContain("| 1 waits for you");
  second.kill();
  expect(statusFor(runtime, first)).not.toContain("waits");
});

it("the status line counts other living chats that are stuck, not those with a tool at work", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const second = anotherClaude(runtime, first);
  first.prompt("deploy it");
  second.prompt("deploy it");
  runtime.wait(14 * 60_000);
  expect(statusFor(runtime, first)).not.toContain("stuck");
  runtime.wait(60_000);
  expect(statusFor(runtime, first)).toContain("| 1 stuck");
  const call = second.begin("Bash", { command: "make" });
  runtime.wait(20 * 60_000);
  expect(statusFor(runtime, first)).not.toContain("stuck");
  second.done(call, "Bash");
  runtime.wait(15 * 60_000);
  expect(statusFor(runtime, first)).toContain("| 1 stuck");
  second.kill();
  expect(statusFor(runtime, first)).not.toContain("stuck");
});

it("for ten minutes the status line names what the chat was given to continue, unless it is dismissed", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime, "Make the parser \u001b[2J faster");
  const next = anotherClaude(runtime, dead);
  next.start();
  expect(statusFor(runtime, next)).toContain('can be continued: "Make the parser faster"\n');
  runtime.store.write((sql) => sessions.rename(sql, dead.session, "the parser"));
  expect(statusFor(runtime, next)).toContain('can be continued: "the parser"\n');
  dismiss(runtime, dead.session);
  expect(statusFor(runtime, next)).not.toContain("the parser");
  take(runtime, { session: dead.session, to: next.session, score: 100 });
  expect(statusFor(runtime, next)).toContain('continues "the parser"\n');
  runtime.wait(600_001);
  expect(statusFor(runtime, next)).not.toContain("the parser");
});

it("messages that the chat has not been given yet are counted", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("hello");
  runtime.store.write((sql) => {
    for (const id of [1, 2]) {
      const message = { kind: "message", id, from: "b", fromName: "b", topic: null, text: "hi" } as const;
      news.add(sql, runtime.now(), claude.session, `m${id}`, message);
    }
    news.add(sql, runtime.now(), claude.session, "n", { kind: "notice", text: "x" });
  });
  expect(statusFor(runtime, claude)).toContain("| 2 messages");
  claude.prompt("what is new?");
  expect(statusFor(runtime, claude)).not.toContain("message");
});

it("while a chat waits for its user, the team reads so in place of its progress", async () => {
  const { rig, one } = await twoChats();
  const progress = async (): Promise<unknown> => {
    await rig.time.pass(20_000);
    return rig.call("chats.list", {}).chats.find(({ chat }) => chat === one.claude.session)?.progress;
  };
  one.claude.tell("Notification", { message: "x", notification_type: "permission_prompt" });
  expect(await progress()).toBe("waits for its user: a permission");
  one.claude.use("Bash", { command: "deploy" });
  expect(await progress()).not.toBe("waits for its user: a permission");
});

it("a chat whose terminal is closed between two turns leaves the team with its client", async () => {
  const { rig, one } = await twoChats();
  one.claude.stop();
  rig.base.wait(60_000);
  one.claude.tell("SessionEnd", { reason: "other" });
  await one.team.end("goes_on");
  expect(rig.call("chats.get", { chat: one.claude.session })).toMatchObject({ status: "offline", reason: "left" });
});
