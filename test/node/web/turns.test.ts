import { expect, it } from "vitest";
import type { TimelineLine } from "#src/contract/machine/page.ts";
import { say, summaryOf, toTurns } from "#src/web/turns.ts";

function aLine(kind: string, text = "", source: TimelineLine["source"] = "journal"): TimelineLine {
  return { kind, text, source, ageMs: 0 };
}

const kinds = (lines: readonly TimelineLine[]): string[] => lines.map(({ kind }) => kind);

it("a turn shows its prompt, its last answer and what went wrong; calls, saves and readings are folded", () => {
  const turns = toTurns([
    aLine("killed", "died: killed", "crash"),
    aLine("turn", "saved c1", "checkpoint"),
    aLine("assistant", "assistant: second"),
    aLine("tool_end", "tool ended: Bash npm test"),
    aLine("assistant", "assistant: first"),
    aLine("tool_error", "tool failed: Bash npm test"),
    aLine("prompt", "user: fix it"),
    aLine("start", "started (startup)"),
  ]);
  expect(turns.map(({ prompt, shown, folded }) => [prompt?.text ?? null, kinds(shown), kinds(folded)])).toEqual([
    ["user: fix it", ["killed", "assistant"], ["turn", "tool_end", "assistant", "tool_error"]],
    [null, [], ["start"]],
  ]);
  expect(turns.map(({ folded }) => summaryOf(folded))).toEqual(["2 calls, 1 failed · 1 save", "1 event"]);
});

it("a line says its kind once, in a user's words", () => {
  expect(say(aLine("prompt", "user: fix it"))).toEqual({ label: "you", text: "fix it" });
  expect(say(aLine("tool_error", "tool failed: Bash x: no"))).toEqual({ label: "failed", text: "Bash x: no" });
  expect(say(aLine("compacted", "compacted"))).toEqual({ label: "compacted", text: "" });
  expect(say(aLine("killed", "died: killed. It vanished", "crash"))).toEqual({
    label: "died",
    text: "killed. It vanished",
  });
  expect(say(aLine("before_risk", "saved c1 (risk)", "checkpoint")).label).toBe("saved");
});
