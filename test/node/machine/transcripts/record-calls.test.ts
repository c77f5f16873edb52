import { join } from "node:path";
import { expect, it } from "vitest";
import { codex } from "#src/clients/codex/codex.ts";
import type { HookEvent } from "#src/contract/hooks.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { codexRow } from "#harness/clients/invented-transcripts.ts";
import { aProject, Claude, stateOf } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it.each([
  ["event_msg/patch_apply_end", { call_id: "exec-1", success: true }],
  ["event_msg/item_completed", { item: { type: "FileChange", id: "exec-1", status: "completed" } }],
])("a patch whose end only the transcript has (%s) ends for each of its files", (type, end) => {
  const runtime = tempRuntime();
  const chat = new Claude(runtime, { cwd: aProject() });
  const tell = (event: HookEvent, fields: Readonly<Record<string, unknown>> = {}): void => {
    runtime.wait(1_000);
    answerHook(runtime, event, () => JSON.stringify(chat.input(event, fields)), chat.pid, codex);
  };
  tell("SessionStart", { source: "startup" });
  tell("UserPromptSubmit", { prompt: "tidy up" });
  const command = "*** Begin Patch\n*** Update File: b.ts\n*** Update File: a.ts\n*** End Patch\n";
  tell("PreToolUse", { tool_name: "apply_patch", tool_input: { command }, tool_use_id: "exec-1" });
  chat.transcribe(JSON.stringify({ ...codexRow(2, type, end), timestamp: new Date(runtime.now()).toISOString() }));
  tell("UserPromptSubmit", { prompt: "and now?" });
  const edited = ["b.ts", "a.ts"].map((name) => ({ path: join(chat.cwd, name), action: "edited" }));
  expect(stateOf(runtime, chat.session)?.files).toMatchObject(edited);
});
