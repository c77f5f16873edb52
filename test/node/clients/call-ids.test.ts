import { expect, it } from "vitest";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("calls without an id are paired by name, input and order, in parallel and one after the other", () => {
  const runtime = tempRuntime();
  runtime.processes.start(1_000);
  const send = (event: string, command: string): void => {
    const input = { session_id: "s1", tool_name: "Bash", tool_input: { command } };
    answerHook(runtime, event, () => JSON.stringify(input), 1_000);
  };
  for (const command of ["make", "make", "test"]) send("PreToolUse", command);
  for (const command of ["test", "make", "make"]) send("PostToolUse", command);
  send("PreToolUse", "make");
  const rows = runtime.store.read((sql) => journal.list(sql, "s1", 0), []);
  const ids = rows.map(({ entry }) => (entry.kind === "tool_start" || entry.kind === "tool_end" ? entry.id : ""));
  const [first, second, other, ...rest] = ids;
  expect(new Set([first, second, other]).size).toBe(3);
  expect(rest.slice(0, 3)).toEqual([other, first, second]);
  expect(ids.slice(0, 6)).not.toContain(rest[3]);
});
