import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { limitOf } from "#src/machine/usage/at-limit.ts";
import { refresh } from "#src/machine/signals/observe.ts";
import { dueNotifications } from "#src/local-mcp/notify/due-notifications.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
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
  const PATH = temporaryFolder();
  writeFileSync(join(PATH, "gemini"), "#!/bin/sh\n", { mode: 0o755 });
  return tempRuntime({ env: { PATH } });
}

/** A prompt whose request the API has refused, as the client's transcript says. */
function refused(client: string, ...rows: readonly object[]) {
  const runtime = aRuntime();
  const transcript = join(temporaryFolder(), "transcript.jsonl");
  const own = { session_id: session, transcript_path: transcript };
  writeFileSync(transcript, "");
  const prompt = client === "gemini" ? "BeforeAgent" : "UserPromptSubmit";
  const chat = new RecordedClient(runtime, client).sendEach(`SessionStart ${prompt}`, own);
  for (const row of rows) appendFileSync(transcript, `${JSON.stringify({ timestamp, ...row })}\n`);
  /** The texts of the notifications, after the timer of the host has read the transcript. */
  const notified = (): string[] => {
    refresh(runtime, chat.session(session)!, {});
    return runtime.store.read((sql) => dueNotifications(sql, runtime), []).map(({ text }) => text);
  };
  /** What the user reads with the next prompt. */
  const next = (): unknown => chat.send("UserPromptSubmit", { ...own, prompt: "go on" })["systemMessage"];
  return { runtime, notified, next };
}

const timestamp = new Date(T0).toISOString();

function codexRows(kind: unknown, limits: object | null = null): object[] {
  const rows = [
    { type: "token_count", info: null, rate_limits: limits },
    { type: "task_complete", last_agent_message: null, error: { message: "no", codex_error_info: kind } },
  ];
  return rows.map((payload) => ({ type: "event_msg", payload }));
}

function aWindow(percent: number, resetsInMs: number): object {
  return { used_percent: percent, window_minutes: 300, resets_at: (T0 + resetsInMs) / 1_000 };
}

function qwenRow(statusCode: number): object {
  const uiEvent = { "event.name": "qwen-code.api_error", error_message: "no", status_code: statusCode };
  return { uuid: "q1", type: "system", subtype: "ui_telemetry", systemPayload: { uiEvent } };
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

const throttled = { errorType: "rate_limit", errorCode: "rate_limited", statusCode: 429 };

it.each<[string, object[]]>([
  ["codex", codexRows({ response_too_many_failed_attempts: { http_status_code: 429 } })],
  ["copilot", [{ type: "session.error", id: "e1", data: { message: "no", ...throttled } }]],
  ["qwen", [qwenRow(429)]],
  ["gemini", [{ type: "error", id: "g1", content: "exhausted your daily quota" }]],
])("a short throttling, and words without a code, are no limit of %s", (client, rows) => {
  expect(refused(client, ...rows).notified()).toEqual([]);
});

function limitNow(runtime: TempRuntime, id = session): unknown {
  return runtime.store.read((sql) => limitOf(sql, sessions.get(sql, id)!), null);
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
    const row = anApiErrorLine("no", { error: "rate_limit", uuid: crypto.randomUUID(), ...fields });
    appendFileSync(claude.transcript, `${row}\n`);
    claude.tell("StopFailure", { error: "rate_limit", last_assistant_message: "no" });
  };
  fail({ apiErrorIsTransient: true });
  expect(claude.prompt("go on").systemMessage).toBeUndefined();
  const resetsAt = Math.floor(runtime.now() / 1_000) + 3_600;
  const info = { status: "rejected", resetsAt, rateLimitType: "five_hour" };
  fail({ apiError: "usage_limit_reached", apiErrorParams: { rate_limit_info: info } });
  expect(limitNow(runtime, claude.session)).toMatchObject({ resetsAtMs: resetsAt * 1_000 });
  const ends = new Date(resetsAt * 1_000);
  const goOn = `the limit ends at ${ends.getHours()}:${String(ends.getMinutes()).padStart(2, "0")}. Go on now: `;
  const { notices } = statusOf(runtime, JSON.stringify({ session_id: claude.session }));
  expect(notices).toEqual([expect.stringContaining(goOn)]);
  const text = expect.stringContaining(`"fix the parser" reached a usage limit; ${goOn}`) as string;
  expect(runtime.store.read((sql) => dueNotifications(sql, runtime), [])).toMatchObject([
    { event: "usage_limit", text },
  ]);
  expect(claude.prompt("go on").systemMessage).toMatch(new RegExp(`^SHIM: ${goOn}\`.*--in gemini\`$`));
  expect(runtime.store.read((sql) => dueNotifications(sql, runtime), [])).toEqual([]);
  runtime.wait(hourMs);
  expect(claude.prompt("go on").systemMessage).toBeUndefined();
});
