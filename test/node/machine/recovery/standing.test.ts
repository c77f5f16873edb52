import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import { standingOf } from "#src/machine/recovery/brief/standing.ts";
import { emptyState, fold } from "#src/machine/sessions/work-state.ts";
import { T0 } from "#harness/store/temp-store.ts";

const user: JournalEntry = { kind: "prompt", text: "paint the boat" };
const said: JournalEntry = { kind: "assistant", text: "I begin." };
const begun: JournalEntry = { kind: "tool_start", id: "a", name: "Bash", input: "make" };
const done: JournalEntry = { kind: "tool_end", id: "a", name: "Bash", input: "make" };
const failed: JournalEntry = { kind: "tool_error", id: "a", name: "Bash", input: "make", text: "Exit code 144" };
const over: JournalEntry = { kind: "turn_end" };
const stopped: JournalEntry = { kind: "interrupted" };
const detached: JournalEntry = { kind: "detached", reason: "interrupted" };

it.each<[string, JournalEntry[]]>([
  ["unknown", []],
  ["unanswered", [user]],
  ["unanswered", [user, said, over, user]],
  ["running", [user, said, begun]],
  ["running", [user, begun, failed, detached]],
  ["working", [user, begun, done]],
  ["working", [user, said]],
  ["working", [user, said, over, user, said]],
  ["waiting", [user, said, over]],
  ["waiting", [user, begun, over]],
  ["interrupted", [user, begun, stopped]],
  ["interrupted", [user, said, over, user, stopped]],
  ["running", [user, begun, failed, stopped, detached]],
  ["unanswered", [user, stopped, user]],
  ["waiting", [user, stopped, user, said, over]],
])("how a chat stood is decided by the order of events: %s after %j", (standing, entries) => {
  const rows = entries.map((entry, index) => ({ seq: index + 1, at: T0 + index, entry }));
  expect(standingOf(fold(emptyState, rows))).toBe(standing);
});

it("a chat that works on after the end of a turn, without a prompt, does not wait", () => {
  const entries = [user, said, over, begun, done];
  const rows = entries.map((entry, index) => ({ seq: index + 1, at: T0 + index * 5_000, entry }));
  expect(standingOf(fold(emptyState, rows))).toBe("working");
});
