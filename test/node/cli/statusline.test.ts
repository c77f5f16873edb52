import { aSeededHome, ids, throwing, withStore, type CliHome } from "#harness/machine/cli-home.ts";
import { localTime } from "#src/cli/times.ts";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import * as clients from "#src/machine/sessions/clients.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { listSamples } from "#harness/machine/session-values.ts";
import * as notices from "#src/store/notices.ts";
import { StoreError } from "#src/store/store-error.ts";
import { expect, it } from "vitest";
import { Claude, aProject, anotherClaude, storedSession } from "#harness/machine/claude.ts";
import { storedBytes, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import type { HookEvent } from "#src/contract/hook-input.ts";

function input(sessionId: string, tokens = 900_000): string {
  return JSON.stringify({
    session_id: sessionId,
    model: { id: "claude-opus-5-5" },
    context_window: { context_window_size: 1_000_000, current_usage: { input_tokens: tokens } },
  });
}

function savedAt(at: number): string {
  return `saved at ${localTime(at).slice(11, 16)}`;
}

function sessionOf(home: CliHome, id: string): sessions.Session | null {
  return home.runtime.store.read((sql) => sessions.get(sql, id), null);
}

it("it shows when the chat was saved, its risk, what died in its project, and stores what the client measured", () => {
  const home = aSeededHome();
  const line = renderStatus(statusOf(home.runtime, input(ids.alive)), home.runtime.now());
  expect(line).toBe(`SHIM: ${savedAt(home.now - 60_000)} | risk 0.3 warning | 1 died\n`);
  const session = sessionOf(home, ids.alive);
  expect(session?.readings.contextFill).toMatchObject({ value: 0.9, source: "measured", at: home.now });
  expect(session?.model).toBe("claude-opus-5-5");
  const [sample] = home.runtime.store.read((sql) => listSamples(sql, ids.alive), []);
  expect(sample).toMatchObject({ at: home.now, level: "warning" });
});

it("notices follow on lines of their own, made safe", () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => notices.add(sql, home.now, "x", `damaged \u001b[2J ${"long ".repeat(100)}`));
  const lines = renderStatus(statusOf(home.runtime, input(ids.alive)), home.runtime.now()).split("\n");
  expect(lines[1]).toMatch(/^SHIM: damaged .*\.\.\.$/);
  expect(lines[1]).not.toContain("\u001b");
});

it("a chat in a second client with the same id is found by its process", () => {
  const home = aSeededHome();
  home.alive.add(900);
  const client = { boot: "boot-1", pid: 900, start: "s900" };
  const names = { givenId: "same-id", session: ids.alive };
  home.runtime.store.write((sql) => clients.moveTo(sql, home.now, client, names));
  const runtime = { ...home.runtime, env: { ...home.runtime.env, CLAUDE_PID: "900" } };
  expect(statusOf(runtime, input("same-id")).session).toBe(ids.alive);
  expect(statusOf(home.runtime, input("same-id")).session).toBeNull();
});

async function statusWith(home: CliHome, changed: Parameters<typeof withStore>[1]): Promise<string> {
  const { runtime } = await withStore(home, changed).makeRuntime();
  return renderStatus(statusOf(runtime, input(ids.alive)), runtime.now());
}

it("it never fails: a busy store costs nothing, a broken one is said", async () => {
  const home = aSeededHome();
  const saved = `SHIM: ${savedAt(home.now - 60_000)} | risk 0.3 warning | 1 died\n`;
  expect(await statusWith(home, { write: throwing(new StoreError("store_locked", "busy")) })).toBe(saved);
  const full = await statusWith(home, { write: throwing(new StoreError("store_full", "full")) });
  expect(full).toBe(`SHIM: cannot save (store_full), run \`shim doctor\` | ${saved.slice(6)}`);
  const broken = await statusWith(home, { read: throwing(new Error("oops")) });
  expect(broken).toBe("SHIM: cannot save (internal error), run `shim doctor`\n");
});

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
