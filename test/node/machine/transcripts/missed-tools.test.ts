import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { catchUp } from "#src/machine/transcripts/record-transcript.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { aLiveClaude, stateOf, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolResultLine, aToolUse, aTranscript } from "#harness/machine/transcripts.ts";

const written = { timestamp: "2030-01-01T00:00:00.000Z", isSidechain: true, agentId: "a1" };

/** A chat with a sub-agent in the background. */
function aChatWithSubagent() {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  writeFileSync(claude.transcript, "");
  const file = join(dirname(claude.transcript), claude.session, "subagents", "agent-a1.jsonl");
  mkdirSync(dirname(file), { recursive: true });
  const calls = (...ids: string[]): void => {
    for (const id of ids) {
      const use = aToolUse(id, "Write", { file_path: `${claude.cwd}/${id}.ts` });
      const lines = [anAssistantLine({ content: [use], stop_reason: "tool_use" }, written)];
      appendFileSync(file, aTranscript(...lines, aToolResultLine(id, "ok", false, written)));
    }
  };
  const names = (): string[] =>
    runtime.store
      .read((sql) => journal.list(sql, claude.session, 0), [])
      .flatMap(({ entry }) => (entry.kind === "tool_end" ? [`${entry.id}: ${entry.name}`] : []));
  return { runtime, claude, calls, names };
}

it("a sub-agent's calls without events are read with the next prompt, once, and count in the message", () => {
  const { runtime, claude, calls, names } = aChatWithSubagent();
  const fields = { tool_name: "Write", tool_use_id: "one", tool_input: {}, agent_id: "a1", agent_type: "general" };
  for (const event of ["PreToolUse", "PostToolUse"] as const) claude.tell(event, fields);
  calls("one", "two", "three");
  expect(claude.prompt("go on").systemMessage).toContain("2 tool calls did not reach the MCP process");
  claude.tell("PostToolUse", { ...fields, tool_use_id: "two" });
  expect(claude.prompt("and now?").systemMessage).toBeUndefined();
  expect(names()).toEqual(["one", "two", "three"].map((id) => `${id}: Write (subagent)`));
  expect(storedSession(runtime, claude.session).toolCalls).toBe(3);
  expect(stateOf(runtime, claude.session)?.files).toContainEqual(expect.objectContaining({ action: "edited" }));
});

it("a hook leaves the sub-agents' transcripts to the MCP process that serves the client", () => {
  const { runtime, claude, calls, names } = aChatWithSubagent();
  const client = { boot: runtime.processes.boot(), pid: claude.pid, start: runtime.processes.facts(claude.pid)!.start };
  runtime.fronts.connect({ client });
  calls("one");
  claude.prompt("go on");
  expect(names()).toEqual([]);
});

it.each([true, false])("after a death a sub-agent's calls are read; new words of the chat: %s", (isNew) => {
  const { runtime, claude, calls, names } = aChatWithSubagent();
  calls("one");
  if (isNew) claude.transcribe(anAssistantLine({}, { timestamp: written.timestamp }));
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(names()).toEqual(["one: Write (subagent)"]);
});
