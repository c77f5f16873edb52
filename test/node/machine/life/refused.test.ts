import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readState } from "#src/machine/recovery/session-state.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "00000000-0000-4000-8000-000000000001";
const words = "deploy the thing please";
const command = { command: "touch deployed.txt" };
const context = "<session_context>\nThis is the Gemini CLI.\n</session_context>";

interface Form {
  readonly prompt: string;
  /** Events until the client's dialog is open. */
  readonly asks: readonly (readonly [event: string, fields: object])[];
  readonly before: (time: string) => readonly object[];
  /** Rows of the time before the dialog, which the client writes behind its event. */
  readonly late?: (time: string) => readonly object[];
  /** Esc at the dialog. */
  readonly refused: (time: string) => readonly object[];
  readonly granted?: (time: string) => readonly object[];
}

const completed = (timestamp: string, result: object): object => ({
  type: "permission.completed",
  data: { requestId: "r", toolCallId: "call_3_0", result },
  id: "d1",
  timestamp,
});

/** Rows of the real clients in their terminals. */
const forms: Record<string, Form> = {
  copilot: {
    prompt: "UserPromptSubmit",
    asks: [
      ["PreToolUse", { tool_name: "Bash", tool_input: command }],
      ["Notification", { sessionId: session, notification_type: "permission_prompt", message: "Run command" }],
    ],
    before: (timestamp) => [{ type: "user.message", data: { content: words }, id: "u1", timestamp }],
    refused: (timestamp) => [
      { type: "assistant.turn_end", data: { turnId: "0" }, id: "e1", timestamp },
      completed(timestamp, { kind: "cancelled", reason: "Session aborted" }),
      { type: "abort", data: { reason: "user_initiated" }, id: "a1", timestamp },
    ],
    granted: (timestamp) => [completed(timestamp, { kind: "approved" })],
  },
  qwen: {
    prompt: "UserPromptSubmit",
    asks: [["PermissionRequest", { tool_name: "run_shell_command", tool_input: command }]],
    before: (timestamp) => [
      { uuid: "u1", parentUuid: null, type: "user", timestamp, message: { role: "user", parts: [{ text: words }] } },
    ],
    late: (timestamp) => [
      {
        uuid: "a1",
        parentUuid: "u1",
        type: "assistant",
        timestamp,
        message: {
          role: "model",
          parts: [{ functionCall: { id: "call_1_0", name: "run_shell_command", args: command } }],
        },
      },
    ],
    refused: (timestamp) => {
      const response = { error: "[Operation Cancelled] Reason: User did not allow tool call" };
      const parts = [{ functionResponse: { id: "call_1_0", name: "run_shell_command", response } }];
      const toolCallResult = { callId: "call_1_0", status: "cancelled", executionStatus: "not_started" };
      const about = { uuid: "r1", parentUuid: "a1", type: "tool_result", timestamp };
      return [{ ...about, message: { role: "user", parts }, toolCallResult }];
    },
  },
  gemini: {
    prompt: "BeforeAgent",
    asks: [
      ["BeforeTool", { tool_name: "run_shell_command", tool_input: command }],
      ["Notification", { notification_type: "ToolPermission", message: "Tool needs permission" }],
    ],
    before: (timestamp) => [{ id: "u1", timestamp, type: "user", content: [{ text: words }] }],
    refused: (timestamp) => {
      const response = { error: "[Operation Cancelled] Reason: User denied execution." };
      const id = "run_shell_command__call_2_0";
      const result = [{ functionResponse: { id, name: "run_shell_command", response } }];
      const call = { id, name: "run_shell_command", args: command, result, status: "cancelled", timestamp };
      return [
        { id: "g1", timestamp, type: "gemini", content: "", toolCalls: [call] },
        { id: "i1", timestamp, type: "info", content: "Request cancelled." },
        { $set: { lastUpdated: timestamp } },
        { id: "u2", timestamp, type: "user", content: [{ text: context }, { text: words }] },
      ];
    },
  },
};

/** A chat whose client asks its user for leave. */
function aChatThatAsks(client: string) {
  const runtime = tempRuntime();
  const form = forms[client]!;
  const path = join(temporaryFolder(), "rows.jsonl");
  writeFileSync(path, "");
  const own = { session_id: session, cwd: "/p", transcript_path: path };
  const chat = new RecordedClient(runtime, client);
  const report = (event: string, fields: object): void => void chat.report(event, { ...own, ...fields });
  const write = (rows: (time: string) => readonly object[]): void => {
    runtime.wait(1_500);
    const all = rows(new Date(runtime.now()).toISOString());
    appendFileSync(path, all.map((row) => `${JSON.stringify(row)}\n`).join(""));
    runtime.store.write((sql) => catchUp(sql, runtime.now(), session));
  };
  report(form.prompt, { prompt: words });
  const early = new Date(runtime.now()).toISOString();
  appendFileSync(
    path,
    form
      .before(early)
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(""),
  );
  runtime.wait(500);
  for (const [event, fields] of form.asks) report(event, fields);
  appendFileSync(path, (form.late?.(early) ?? []).map((row) => `${JSON.stringify(row)}\n`).join(""));
  return { runtime, chat, form, report, write, own };
}

/** How every surface shows it. */
function shown(runtime: TempRuntime): string {
  return runtime.store.read((sql) => {
    const { state, detail } = readState(sql, runtime, sessions.get(sql, session)!);
    return detail === null ? state : `${state} (${detail})`;
  }, "");
}

function briefAfter(runtime: TempRuntime, { pid }: RecordedClient): string {
  runtime.processes.kill(pid);
  const restored = restoreById(runtime, session);
  return restored === null ? "" : brief(restored, runtime.now(), "ask");
}

it.each(Object.keys(forms))(
  "%s: Esc at the client's dialog ends the wait and the turn, and the call is told as refused, not as asked for",
  (client) => {
    const { runtime, chat, form, write } = aChatThatAsks(client);
    expect(shown(runtime)).toBe("waits (your permission)");
    write(form.refused);
    expect(shown(runtime)).toBe("idle");
    const failed = { kind: "tool_error", name: "Bash", text: expect.stringMatching(/User|user/) as string };
    const entries = chat.entries(session);
    expect(entries.filter(({ kind }) => kind === "tool_error")).toMatchObject([failed]);
    expect(entries.filter(({ kind }) => kind === "prompt")).toHaveLength(1);
    const text = briefAfter(runtime, chat);
    expect(text).toMatch(/how it stood[^\n]*: the user had interrupted the turn/);
    expect(text).toContain("1 of 1 prompts quoted");
    expect(text).not.toContain("it had asked the user for leave");
  },
);

it("Copilot CLI: a chat waits no more once its transcript has the Yes, and the call runs on", () => {
  const { runtime, chat, form, write } = aChatThatAsks("copilot");
  write(form.granted!);
  expect(shown(runtime)).toBe("works");
  expect(briefAfter(runtime, chat)).toMatch(/in mid-turn, running Bash touch deployed\.txt/);
});

it("Gemini CLI: a prompt that its user types again after Esc is a prompt of its own", () => {
  const { runtime, chat, form, report, write } = aChatThatAsks("gemini");
  write(form.refused);
  runtime.wait(60_000);
  report("BeforeAgent", { prompt: words });
  write((timestamp) => [{ id: "u3", timestamp, type: "user", content: [{ text: words }] }]);
  expect(chat.entries(session).filter(({ kind }) => kind === "prompt")).toHaveLength(2);
});

it("Qwen Code, which asks before it reports the call: the brief of a chat killed at the dialog names the call", () => {
  const { runtime, chat, write } = aChatThatAsks("qwen");
  write(() => []);
  expect(shown(runtime)).toBe("waits (your permission)");
  expect(briefAfter(runtime, chat)).toMatch(/it had asked the user for leave to run Bash touch deployed\.txt/);
});

it("Copilot CLI: a shell that typing ahead moves behind is told as at work in the background, until the client reports its end", () => {
  const { runtime, chat, report, write } = aChatThatAsks("copilot");
  const moved =
    "<command with shellId: 0 moved to background by the user. You will be automatically notified when it completes.>";
  const result = { result_type: "success", text_result_for_llm: moved };
  report("PostToolUse", { tool_name: "Bash", tool_input: command, tool_result: result });
  report("Stop", { stop_reason: "end_turn" });
  const told = (): string => {
    const restored = restoreById(runtime, session);
    return restored === null ? "" : brief(restored, runtime.now(), "ask");
  };
  expect(told()).toMatch(/in the background, with no end seen: Bash touch deployed\.txt/);
  const kind = { type: "shell_completed", shellId: "0", exitCode: 1, description: "scripted" };
  write((timestamp) => [{ type: "system.notification", data: { content: "", kind }, id: "n1", timestamp }]);
  expect(told()).not.toContain("in the background");
  expect(chat.entries(session).at(-1)).toMatchObject({ kind: "background_end" });
});

it("Copilot CLI: a chat that is killed while a shell is at work behind its turn was not closed with nothing open", () => {
  const { runtime, chat, report } = aChatThatAsks("copilot");
  const moved = "<command with shellId: 0 moved to background by the user.>";
  const result = { result_type: "success", text_result_for_llm: moved };
  report("PostToolUse", { tool_name: "Bash", tool_input: command, tool_result: result });
  report("Stop", { stop_reason: "end_turn" });
  briefAfter(runtime, chat);
  expect(shown(runtime)).toBe("died (closed)");
});
