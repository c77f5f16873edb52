import { appendFileSync, chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openCodeHooks } from "#src/clients/opencode/opencode-plugin.ts";
import { limitOf } from "#src/machine/usage/at-limit.ts";
import { refresh } from "#src/machine/signals/observe.ts";
import { dueNotifications } from "#src/local-mcp/notify/due-notifications.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { aLiveClaude } from "#harness/machine/claude.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { T0, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anApiErrorLine } from "#harness/machine/transcripts.ts";

const session = "00000000-0000-4000-8000-000000000001";
const hourMs = 3_600_000;

/** A machine on which Gemini CLI can go on. */
function aRuntime(): TempRuntime {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "gemini"), "#!/bin/sh\n");
  chmodSync(join(folder, "gemini"), 0o755);
  return tempRuntime({ env: { PATH: folder } });
}

interface Chat {
  readonly runtime: TempRuntime;
  /** @returns the texts of the notifications, after the timer of the host has read the transcript */
  readonly notified: () => string[];
  /** @returns what the user reads with the next prompt */
  readonly next: () => unknown;
}

/** A prompt whose request the API has refused, as the client's transcript says. */
function refused(client: string, ...rows: readonly object[]): Chat {
  const runtime = aRuntime();
  const chat = new RecordedClient(runtime, client);
  const transcript = join(temporaryFolder(), "transcript.jsonl");
  const own = { session_id: session, transcript_path: transcript };
  writeFileSync(transcript, "");
  for (const name of ["SessionStart", client === "gemini" ? "BeforeAgent" : "UserPromptSubmit"]) chat.send(name, own);
  for (const row of rows) appendFileSync(transcript, `${JSON.stringify(row)}\n`);
  const notified = (): string[] => {
    refresh(runtime, chat.session(session)!, {});
    return runtime.store.read((sql) => dueNotifications(sql, runtime), []).map(({ text }) => text);
  };
  return { runtime, notified, next: () => chat.send("UserPromptSubmit", { ...own, prompt: "go on" })["systemMessage"] };
}

function codexRows(kind: unknown, limits: object | null = null): object[] {
  const rows = [
    { type: "token_count", info: null, rate_limits: limits },
    { type: "task_complete", last_agent_message: null, error: { message: "no", codex_error_info: kind } },
  ];
  return rows.map((payload) => ({ timestamp: new Date(T0).toISOString(), type: "event_msg", payload }));
}

function aWindow(percent: number, resetsInMs: number): object {
  return { used_percent: percent, window_minutes: 300, resets_at: (T0 + resetsInMs) / 1_000 };
}

function copilotRow(data: object): object {
  return { type: "session.error", id: "e1", timestamp: new Date(T0).toISOString(), data: { message: "no", ...data } };
}

function qwenRow(statusCode: number): object {
  const uiEvent = { "event.name": "qwen-code.api_error", error_message: "no", status_code: statusCode };
  const row = { type: "system", subtype: "ui_telemetry", systemPayload: { uiEvent } };
  return { uuid: "q1", timestamp: new Date(T0).toISOString(), ...row };
}

it.each<[string, object[]]>([
  ["codex", codexRows("usage_limit_exceeded")],
  ["qwen", [qwenRow(402)]],
])("a chat of %s at its limit gets a notification, and the line with its next prompt", (client, rows) => {
  const { notified, next } = refused(client, ...rows);
  expect(notified()).toMatchObject([expect.stringMatching(/reached a usage limit; Go on now: .*--in gemini`$/)]);
  expect(next()).toMatch(/^SHIM: Go on now: `.*resume 00000000 --in gemini`$/);
  expect(notified()).toEqual([]);
});

it.each<[string, object[]]>([
  ["codex", codexRows({ response_too_many_failed_attempts: { http_status_code: 429 } })],
  ["copilot", [copilotRow({ errorType: "rate_limit", errorCode: "rate_limited", statusCode: 429 })]],
  ["qwen", [qwenRow(429)]],
  [
    "gemini",
    [{ type: "error", id: "g1", timestamp: new Date(T0).toISOString(), content: "exhausted your daily quota" }],
  ],
])("a short throttling, and words without a code, are no limit of %s", (client, rows) => {
  expect(refused(client, ...rows).notified()).toEqual([]);
});

function limitNow(runtime: TempRuntime): unknown {
  return runtime.store.read((sql) => limitOf(sql, sessions.get(sql, session)!), null);
}

it("the fuller of Codex's windows says when its limit ends, and then there is none", () => {
  const limits = { primary: aWindow(100, 2 * hourMs), secondary: aWindow(80, 100 * hourMs) };
  const { runtime, notified } = refused("codex", ...codexRows("usage_limit_exceeded", limits));
  expect(notified()).toMatchObject([expect.stringContaining("the limit ends at")]);
  expect(limitNow(runtime)).toMatchObject({ resetsAtMs: T0 + 2 * hourMs });
  runtime.wait(2 * hourMs);
  expect(notified()).toEqual([]);
});

it("Claude Code's row says that a limit was reached, and when it ends; its event and a throttling do not", () => {
  const runtime = aRuntime();
  const claude = aLiveClaude(runtime, "fix the parser");
  const fail = (fields: object): void => {
    appendFileSync(
      claude.transcript,
      `${anApiErrorLine("no", { error: "rate_limit", uuid: crypto.randomUUID(), ...fields })}\n`,
    );
    claude.tell("StopFailure", { error: "rate_limit", last_assistant_message: "no" });
  };
  fail({ apiErrorIsTransient: true });
  expect(claude.prompt("go on").systemMessage).toBeUndefined();
  const resetsAt = Math.floor(runtime.now() / 1_000) + 3_600;
  const info = { status: "rejected", resetsAt, rateLimitType: "five_hour" };
  fail({ apiError: "usage_limit_reached", apiErrorParams: { rate_limit_info: info } });
  const limit = runtime.store.read((sql) => limitOf(sql, sessions.get(sql, claude.session)!), null);
  expect(limit).toMatchObject({ resetsAtMs: resetsAt * 1_000 });
  expect(runtime.store.read((sql) => dueNotifications(sql, runtime), [])).toMatchObject([{ event: "usage_limit" }]);
  runtime.wait(hourMs);
  expect(claude.prompt("go on").systemMessage).toBeUndefined();
});

it("OpenCode shows the line while it waits for the end of its limit, and at an account without credit", async () => {
  const runtime = aRuntime();
  const recorded = new RecordedClient(runtime, "opencode");
  const toasts: object[] = [];
  const client = {
    session: { get: () => Promise.resolve({ data: { version: "1.18.33" } }) },
    app: { log: () => Promise.resolve(null) },
    tui: { showToast: (toast: object) => Promise.resolve(void toasts.push(toast)) },
    postSessionIdPermissionsPermissionId: () => Promise.resolve(null),
  };
  const hooks = openCodeHooks({ client, directory: "/home/user/project" }, (event, payload) =>
    Promise.resolve(recorded.report(event, payload)),
  );
  const happens = (type: string, properties: object): Promise<void> =>
    hooks.event({ event: { type, properties: { sessionID: session, ...properties } } });
  const prompt = (id: string): Promise<void> =>
    hooks["chat.message"]({ sessionID: session }, { message: { id }, parts: [{ id: "p", type: "text", text: id }] });
  const retry = { type: "retry", attempt: 1, message: "no", next: T0 + 2 * hourMs };
  await prompt("fix it");
  await happens("session.status", { status: retry });
  expect([toasts, limitNow(runtime)]).toEqual([[], null]);
  await happens("session.status", { status: { ...retry, action: { reason: "account_rate_limit" } } });
  expect(toasts).toMatchObject([
    { body: { message: expect.stringMatching(/^SHIM: the limit ends at .*--in gemini`$/) as string } },
  ]);
  expect(limitNow(runtime)).toMatchObject({ resetsAtMs: T0 + 2 * hourMs });
  await happens("session.idle", {});
  expect(limitNow(runtime)).toBeNull();
  await prompt("and this");
  await happens("session.error", { error: { name: "APIError", data: { message: "no", statusCode: 402 } } });
  expect(toasts).toHaveLength(2);
  expect(limitNow(runtime)).toMatchObject({ resetsAtMs: null });
});
