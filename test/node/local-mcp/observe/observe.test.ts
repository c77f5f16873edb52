import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as journal from "#src/local-mcp/sessions/journal.ts";
import { timerTrigger } from "#src/local-mcp/checkpoints/triggers.ts";
import { observe } from "#src/local-mcp/observe/observe.ts";
import { recordTranscript } from "#src/local-mcp/observe/record-transcript.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import * as history from "#src/local-mcp/signals/history.ts";
import { readAppended } from "#src/local-mcp/signals/transcript.ts";
import { aLiveClaude, rowCount, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { aUserLine, anAssistantLine } from "#harness/machine/transcripts.ts";

const usage = {
  input_tokens: 90_000,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 60_000,
  output_tokens: 10_000,
};

it("[ID10] each event brings the readings up to date: tools, errors, age, and of the transcript the context", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  appendFileSync(claude.transcript, `${anAssistantLine({ usage, content: [{ type: "text", text: "a" }] })}\n`);
  for (let call = 0; call < 4; call++) claude.use("Bash", { command: "ls" });
  claude.fail("Bash", { command: "make" }, "Exit code 2");
  const { readings, model, transcriptOffset } = storedSession(runtime, claude.session);
  expect(readings).toMatchObject({
    toolCalls: { value: 5, source: "measured" },
    toolErrors: { value: 0.2 },
    contextTokens: { value: 160_000, source: "measured" },
    clientMemoryBytes: { value: 200_000_000 },
  });
  expect(model).toBe("claude-opus-5-5");
  expect(transcriptOffset).toBe(readAppended(claude.transcript, 0).size);
  expect(rowCount(runtime, "signals")).toBeGreaterThan(0);
});

it("[ID10] a figure that the chat reports counts where nothing is measured, and is kept in the history with its risk", () => {
  const runtime = tempRuntime({ config: { risk: { weights: { memory: 0, sinceCheckpoint: 0 } } } });
  const claude = aLiveClaude(runtime);
  const session = storedSession(runtime, claude.session);
  const fresh = { contextFill: { value: 0.9, source: "reported", at: runtime.now() } } as const;
  const seen = runtime.store.write((sql) => observe(sql, runtime, session, null, fresh));
  expect(seen.risk).toMatchObject({ score: 0.3, level: "warning", reasons: [{ name: "contextFill" }] });
  expect(seen.facts).toMatchObject({ isRiskPending: true });
  expect(runtime.store.read((sql) => history.list(sql, claude.session), [])[0]).toMatchObject({ level: "warning" });
});

it("[ID10] what another process has written to the session meanwhile is not lost", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  const old = storedSession(runtime, claude.session);
  claude.use("Bash");
  runtime.store.write((sql) => observe(sql, runtime, old));
  expect(storedSession(runtime, claude.session)).toMatchObject({ toolCalls: 1, readings: { toolCalls: { value: 1 } } });
});

it("[SI17] a compaction makes what was read of the context void", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  appendFileSync(claude.transcript, `${anAssistantLine({ usage, content: [{ type: "text", text: "a" }] })}\n`);
  claude.use("Bash");
  expect(storedSession(runtime, claude.session).readings.contextTokens?.value).toBe(160_000);
  claude.compact("A summary.");
  expect(storedSession(runtime, claude.session).readings.contextTokens).toBeUndefined();
});

it("[JO4] of the transcript only the assistant's words are kept: prompts come from the hooks, with their ids", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  const path = join(claude.cwd, "other.jsonl");
  const words = ["one", "one", " ", "two"].map((text) => anAssistantLine({ content: [{ type: "text", text }] }));
  appendFileSync(path, `${[aUserLine("a prompt"), ...words].join("\n")}\n`);
  const session = storedSession(runtime, claude.session);
  runtime.store.write((sql) => recordTranscript(sql, session, readAppended(path, 0), runtime.now()));
  const entries = runtime.store.read((sql) => journal.newest(sql, claude.session, ["prompt", "assistant"], 9), []);
  expect(entries.map(({ entry }) => ("text" in entry ? entry.text : ""))).toEqual(["two", "one", "fix it"]);
});

it("[CP9] the timer finds a checkpoint due by count and time", () => {
  const runtime = tempRuntime({ config: { checkpoint: { everyToolCalls: 2 } } });
  const claude = aLiveClaude(runtime);
  const look = (): unknown => {
    const session = storedSession(runtime, claude.session);
    const { facts } = runtime.store.write((sql) => observe(sql, runtime, session));
    return timerTrigger(facts, runtime.config.checkpoint);
  };
  expect(look()).toBe("time");
  claude.use("Bash");
  expect(look()).toBeNull();
  for (let call = 0; call < 2; call++) {
    runtime.store.write((sql) => {
      const entry = { kind: "tool_end", id: `t${call}`, name: "Bash", input: "" } as const;
      journal.append(sql, claude.session, runtime.now(), `end:t${call}`, entry);
    });
  }
  expect(look()).toBe("tools");
  claude.stop();
  claude.prompt("more");
  runtime.wait(300_001);
  expect(look()).toBe("time");
  expect(
    runtime.store.read((sql) => sessions.get(sql, claude.session), null)?.readings.sinceCheckpointMs?.value,
  ).toBeGreaterThan(300_000);
});
