import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import { importTranscript } from "#src/machine/sessions/transcripts/import-transcript.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { aChat, stateOf } from "#harness/machine/claude.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { aUserLine } from "#harness/machine/transcripts.ts";

// Seen with Claude Code 2.1.332: the event of a prompt that the chat has scheduled is that of a typed one.
it("a prompt that the chat has scheduled is told as one of the schedule, live and in an import", async () => {
  const { runtime, claude } = aChat();
  const timestamp = (): string => new Date(runtime.now()).toISOString();
  claude.prompt("Look at the build each minute.");
  claude.transcribe(aUserLine("Look at the build each minute.", { timestamp: timestamp() }));
  claude.stop("It is scheduled.");
  runtime.wait(60_000);
  claude.prompt("check the build");
  const scheduled = { isMeta: true, turnOrigin: "scheduled", scheduledTaskId: "cron_1" };
  claude.transcribe(aUserLine("check the build", { timestamp: timestamp(), ...scheduled }));
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  const prompts = [
    ["Look at the build each minute.", undefined],
    ["check the build", "schedule"],
  ];
  expect(stateOf(runtime, claude.session)?.prompts.map(({ text, from }) => [text, from])).toEqual(prompts);
  const from = restoreById(runtime, claude.session);
  expect(from && brief(from, runtime.now(), "brief")).toContain("(from the schedule) check the build\n");
  const other = tempRuntime();
  const imported = await importTranscript(other, { path: claude.transcript, folder: claude.cwd });
  const state = imported.ok ? stateOf(other, imported.value.session) : null;
  expect(state?.prompts.map(({ text, from: by }) => [text, by])).toEqual(prompts);
});

// Seen with Qwen Code 0.24.4: the same.
it("a prompt that a chat of Qwen Code has scheduled is one of the schedule, and what the client says to it is no prompt", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "qwen");
  const file = join(temporaryFolder(), "chat.jsonl");
  const session = "00000000-0000-4000-8000-000000000001";
  const about = { session_id: session, transcript_path: file };
  const write = (text: string, fields: object): void => {
    const message = { role: "user", parts: [{ text }] };
    const timestamp = new Date(runtime.now()).toISOString();
    const row = { uuid: `row of ${text}`, sessionId: session, timestamp, type: "user", message };
    appendFileSync(file, `${JSON.stringify({ ...row, ...fields })}\n`);
  };
  chat.send("SessionStart", about);
  chat.send("UserPromptSubmit", { ...about, prompt: "Look at the build each minute." });
  write("Look at the build each minute.", {});
  runtime.wait(60_000);
  chat.send("UserPromptSubmit", { ...about, prompt: "check the build" });
  write("check the build", { subtype: "cron", provenance: "system" });
  write("Go on until all tests pass.", { subtype: "goal_runtime", provenance: "goal_runtime" });
  chat.send("Stop", { ...about, last_assistant_message: "It is built." });
  runtime.store.write((sql) => catchUp(sql, runtime.now(), session));
  expect(stateOf(runtime, session)?.prompts.map(({ text, from }) => [text, from])).toEqual([
    ["Look at the build each minute.", undefined],
    ["check the build", "schedule"],
  ]);
});
