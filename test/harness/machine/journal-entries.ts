import * as fc from "fast-check";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { TodoItem } from "#src/contract/work-state.ts";

/** Any journal entry; ids and paths are few, so that entries meet each other. */
export function anEntry(): fc.Arbitrary<JournalEntry> {
  const text = fc.string({ maxLength: 30, unit: "binary" }).map((value) => value.toWellFormed());
  const id = fc.constantFrom("t1", "t2", "t3");
  const path = fc.constantFrom("/nonexistent/a", "/nonexistent/b", "relative");
  const action = fc.constantFrom("read", "edited", "created", "noted");
  const status = fc.constantFrom<TodoItem["status"]>("pending", "in_progress", "completed");
  const tool = { id, name: fc.constantFrom("Bash", "Edit"), input: text };
  const duration = { durationMs: fc.nat() };
  return fc.oneof(
    fc.record({ kind: fc.constant("start"), source: text }),
    fc.record({ kind: fc.constant("prompt"), text: fc.oneof(text, fc.constant("/compact now")) }),
    fc.record({ kind: fc.constant("assistant"), text }),
    fc.record({ kind: fc.constant("tool_start"), ...tool }),
    fc.record(
      { kind: fc.constant("tool_end"), ...tool, ...duration, path, action },
      { requiredKeys: ["kind", "id", "name", "input"] },
    ),
    fc.record(
      { kind: fc.constant("tool_error"), ...tool, ...duration, text },
      { requiredKeys: ["kind", "id", "name", "input", "text"] },
    ),
    fc.record({ kind: fc.constant("todos"), todos: fc.array(fc.record({ text, status }), { maxLength: 4 }) }),
    fc.record({ kind: fc.constant("todo"), todo: fc.record({ id, text, status }, { requiredKeys: ["id"] }) }),
    fc.record({ kind: fc.constant("todo_removed"), id }),
    fc.record({ kind: fc.constant("compacting"), trigger: text }),
    fc.record({ kind: fc.constant("compacted"), summary: text }),
    fc.record({ kind: fc.constantFrom("turn_end" as const, "interrupted" as const) }),
    fc.record({
      kind: fc.constant("answers"),
      answers: fc.array(fc.record({ question: text, answer: text }), { maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("given_back"), text }),
    fc.record({ kind: fc.constant("plan"), text, path }, { requiredKeys: ["kind", "text"] }),
    fc.record({ kind: fc.constant("subagent_end"), text }),
    fc.record({ kind: fc.constant("failure"), text }),
    fc.record({ kind: fc.constant("detached"), reason: text }),
    fc.record({ kind: fc.constant("end"), reason: text }),
  );
}
