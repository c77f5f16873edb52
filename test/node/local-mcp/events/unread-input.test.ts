import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { claudeCode } from "#src/clients/claude-code/claude-code.ts";
import { gemini } from "#src/clients/gemini/gemini.ts";
import { answerHook, drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { spoolGiven } from "#src/local-mcp/events/spool-event.ts";
import { summarizeUnread } from "#src/local-mcp/events/unread-input.ts";
import { pause } from "#src/store/pause.ts";
import { journalKinds } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "20487890-04b4-4fe0-bbd5-6aa531354563";
const secret = `ghp_${"0aB".repeat(12)}`;

function aRuntime(): TempRuntime {
  const runtime = tempRuntime();
  runtime.processes.start(7);
  return runtime;
}

function send(runtime: TempRuntime, event: string, input: string, id?: string, client = claudeCode): string {
  return answerHook(runtime, event, () => input, 7, client, id);
}

function files(runtime: TempRuntime): unknown[] {
  const names = readdirSync(runtime.paths.unread).toSorted();
  return names.map((name): unknown => JSON.parse(readFileSync(join(runtime.paths.unread, name), "utf8")));
}

it("what is not read of an input is kept without its secrets, once, beside the event that is read of it", () => {
  const runtime = aRuntime();
  const prompt = `{"session_id":"${session}","cwd":"/p","prompt":"fix it","prompt_id":"p1"} trailing ${secret}`;
  for (let n = 0; n < 2; n++) send(runtime, "UserPromptSubmit", prompt, "e1");
  expect(journalKinds(runtime, session)).toContain("prompt");
  expect(files(runtime)).toEqual([
    expect.objectContaining({
      event: "UserPromptSubmit",
      session,
      cwd: "/p",
      text: expect.stringContaining("trailing"),
    }),
  ]);
  expect(JSON.stringify(files(runtime))).not.toContain("0aB0aB");
});

it("the user learns of it once for each run of a client, with a start or a prompt", () => {
  const runtime = aRuntime();
  expect(send(runtime, "PostToolUse", "no json")).toBe("");
  expect(send(runtime, "Stop", "")).toBe("");
  const whole = JSON.stringify({ session_id: session, prompt: "go on", prompt_id: "p1" });
  expect(send(runtime, "UserPromptSubmit", whole)).toContain("SHIM could not read all");
  expect(send(runtime, "UserPromptSubmit", "no json")).toBe("");
  runtime.processes.start(7);
  expect(send(runtime, "UserPromptSubmit", whole.replace("p1", "p2"))).not.toContain("could not read");
  // Nothing of it could be read, and yet it is known that it was a prompt.
  expect(send(runtime, "BeforeAgent", "{", undefined, gemini)).toContain("SHIM could not read all");
});

it("of inputs that could not be read the last hundred are kept, and counted with their times", () => {
  const runtime = aRuntime();
  expect(summarizeUnread(runtime.paths.unread)).toBeNull();
  const from = runtime.clock.now;
  for (let n = 0; n < 103; n++) {
    send(runtime, "Stop", `no json ${n}`);
    runtime.wait(1_000);
  }
  expect(summarizeUnread(runtime.paths.unread)).toEqual({
    count: 100,
    isFull: true,
    firstAt: from + 3_000,
    lastAt: from + 102_000,
    last: "Stop of Claude Code: input is not JSON",
  });
});

it("nothing is kept from where SHIM is paused: by the folder, the session of the client, or of all", () => {
  const runtime = aRuntime();
  const whole = JSON.stringify({ session_id: session, cwd: "/p", prompt: "go on", prompt_id: "p1" });
  send(runtime, "UserPromptSubmit", whole);
  runtime.store.write((sql) => pause(sql, runtime.now(), null, "/p"));
  send(runtime, "Stop", "no json");
  send(runtime, "Stop", '{"cwd":"/p/sub","prompt":"half');
  send(runtime, "Stop", '{"cwd":"/other","prompt":"half');
  expect(files(runtime)).toEqual([expect.objectContaining({ cwd: "/other" })]);
});

it("without a host an input that could not be read waits in the spool, and the next host keeps it at its time", () => {
  const runtime = aRuntime();
  const given = { client: claudeCode, env: {}, clientPid: 7, id: "e1" };
  const cut = `{"session_id":"${session}","cwd":"/p","prompt_id":"p1","prompt":"half of ${secret}`;
  spoolGiven(runtime, { ...given, event: "UserPromptSubmit", input: cut });
  const waiting = readdirSync(runtime.paths.spool).map((name) => readFileSync(join(runtime.paths.spool, name), "utf8"));
  expect(waiting).toHaveLength(2);
  expect(waiting.join("")).not.toContain("0aB0aB");
  const at = runtime.clock.now;
  runtime.wait(60_000);
  drainInto(runtime);
  expect(readdirSync(runtime.paths.spool)).toEqual([]);
  expect(journalKinds(runtime, session)).toContain("prompt");
  expect(summarizeUnread(runtime.paths.unread)).toMatchObject({ count: 1, firstAt: at });
});
