import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { duePushes } from "#src/local-mcp/notify/due-notifications.ts";
import { readState } from "#src/machine/recovery/session-state.ts";
import { toSessionView } from "#src/machine/recovery/session-view.ts";
import * as life from "#src/machine/sessions/life/row.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { statusOf } from "#src/machine/view/status-line.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { aLiveClaude } from "#harness/machine/claude.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { aHost, ask } from "#harness/machine/host-rig.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

afterEach(() => void vi.useRealTimers());

const session = "00000000-0000-4000-8000-000000000001";
const words = "Your credit balance is too low.";
const error = `{"type":"error","error":{"type":"invalid_request_error","message":"${words}"}}`;

function aTranscript(): { readonly path: string; write(...rows: object[]): void } {
  const path = join(temporaryFolder(), "rows.jsonl");
  writeFileSync(path, "");
  const write = (...rows: object[]): void =>
    appendFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return { path, write };
}

/** What every surface shows of the chat. */
function shown(runtime: TempRuntime): string {
  return runtime.store.read((sql) => {
    const stored = sessions.get(sql, session);
    const { state, detail } = stored ? readState(sql, runtime, stored) : { state: "none", detail: null };
    return detail === null ? state : `${state} (${detail})`;
  }, "");
}

function apiError(status: number, timestamp: string): object {
  const uiEvent = { "event.name": "qwen-code.api_error", error_message: `${status} ${words}`, status_code: status };
  return { uuid: `e${status}`, type: "system", subtype: "ui_telemetry", timestamp, systemPayload: { uiEvent } };
}

type Rows = ReturnType<typeof aTranscript>;

/** The rows and events of each real client at an answer with status 400. */
const errorsOf: Record<string, (chat: RecordedClient, own: object, rows: Rows, timestamp: string) => void> = {
  copilot: (chat, own) => chat.send("ErrorOccurred", { ...own, error: { name: "Error", message: error } }),
  gemini(chat, own, rows, timestamp) {
    rows.write({ id: "e", timestamp, type: "error", content: `[API Error: ${error}]` });
    chat.send("AfterAgent", { ...own, prompt_response: "" });
  },
  opencode(chat, own) {
    chat.report("StopFailure", { ...own, error: words, data: { statusCode: 400 } });
    chat.report("Stop", own);
  },
  qwen(chat, own, rows, timestamp) {
    rows.write(apiError(400, timestamp));
    chat.send("Notification", { ...own, notification_type: "idle_prompt", message: "waiting for your input" });
  },
};
const prompts: Readonly<Record<string, string>> = { gemini: "BeforeAgent" };

it.each(Object.entries(errorsOf))(
  "%s: a chat whose turn stopped at an API error waits for its user until the next prompt",
  (client, fail) => {
    const runtime = tempRuntime();
    const rows = aTranscript();
    const own = { session_id: session, cwd: "/p", transcript_path: rows.path };
    const chat = new RecordedClient(runtime, client);
    const ask = (prompt: string): void =>
      void chat.report(prompts[client] ?? "UserPromptSubmit", { ...own, prompt }, { COPILOT_CLI: "1" });
    ask("deploy it");
    expect(shown(runtime)).toBe("works");
    runtime.wait(1_000);
    fail(chat, own, rows, new Date(runtime.now()).toISOString());
    expect(shown(runtime)).toBe("waits (it stopped at an error)");
    runtime.wait(1_000);
    ask("again please");
    expect(shown(runtime)).toBe("works");
  },
);

it("a chat that stopped at an error is counted by the status line of another, shows since when, and is pushed to a phone", () => {
  const runtime = tempRuntime();
  const [one, other] = [aLiveClaude(runtime, "deploy it"), aLiveClaude(runtime, "test it", { session, pid: 4_000 })];
  other.tell("StopFailure", { error: "server_error" });
  const at = runtime.now();
  runtime.wait(5_000);
  expect(statusOf(runtime, JSON.stringify({ session_id: one.session }))).toMatchObject({ waits: 1 });
  runtime.store.read((sql) => {
    expect(toSessionView(sql, runtime, sessions.get(sql, session)!)).toMatchObject({ waitingSince: at });
    expect(duePushes(sql, runtime, ["waits"])).toMatchObject([{ session, text: '"test it" stopped at an error' }]);
  }, null);
});

it("an error of the server, after which Qwen Code tries again, does not stop the chat", () => {
  const runtime = tempRuntime();
  const rows = aTranscript();
  const own = { session_id: session, cwd: "/p", transcript_path: rows.path };
  const chat = new RecordedClient(runtime, "qwen");
  chat.report("UserPromptSubmit", { ...own, prompt: "deploy it" });
  rows.write(...[503, 429].map((status) => apiError(status, new Date(runtime.now()).toISOString())));
  chat.send("PreToolUse", own);
  expect(shown(runtime)).toBe("works");
});

it("Codex, which has no event for it: an error that only the rollout has is read within seconds, and a call is left to its hooks", async () => {
  const runtime = tempRuntime();
  const host = await aHost(runtime, ["setTimeout"]);
  runtime.processes.start(100, 1, "codex");
  runtime.processes.start(101, 100, "bash");
  const { start } = runtime.processes.start(102, 101, "sh");
  const stat = `102 (sh) S 101${" 0".repeat(17)} ${start}`;
  const headers = { "shim-home": `=${runtime.paths.home}`, "shim-process": stat };
  const rows = aTranscript();
  const event = { session_id: session, cwd: "/p", turn_id: "t", transcript_path: rows.path };
  const row = (type: string, payload: object): void =>
    rows.write({ timestamp: new Date(runtime.now()).toISOString(), type, payload });
  const seconds = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      runtime.wait(1_000);
      await vi.advanceTimersByTimeAsync(1_000);
    }
  };
  await ask(host.socket, "POST", "/hook/codex/UserPromptSubmit", { ...event, prompt: "deploy it" }, headers);
  await seconds(2);
  row("event_msg", { type: "task_complete", last_agent_message: null, error: { message: error } });
  expect(shown(runtime)).toBe("works");
  await seconds(2);
  expect(shown(runtime)).toBe("waits (it stopped at an error)");
  await ask(host.socket, "POST", "/hook/codex/UserPromptSubmit", { ...event, turn_id: "u", prompt: "again" }, headers);
  const call = { call_id: "c", name: "exec_command", arguments: '{"cmd":"make"}' };
  await seconds(1);
  row("response_item", { type: "function_call", ...call });
  await seconds(1);
  const begun = { ...event, tool_name: "Bash", tool_use_id: "c", tool_input: { command: "make it" } };
  await ask(host.socket, "POST", "/hook/codex/PreToolUse", begun, headers);
  const calls = runtime.store.read((sql) => life.read(sql, session)?.calls ?? [], []);
  expect(calls).toMatchObject([{ id: "c", input: "make it" }]);
});
