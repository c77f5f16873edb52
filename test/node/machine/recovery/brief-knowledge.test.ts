import { expect, it } from "vitest";
import { linesUnder, shown, times } from "#harness/machine/brief-text.ts";
import { T0 } from "#harness/store/store-test.ts";

it("\n");
  const start = lines.findIndex((line) => line.startsWith(heading)) + 1;
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith("- "));
  return start === 0 ? [] : lines.slice(start, end);
}

function times<T>(length: number, make: (n: number) => T): T[] {
  return Array.from({ length }, (_, n) => make(n));
}

it("commands that passed after edits, and to-dos that were dropped while open, stand in the brief", () => {
  const failed = { input: "cd /p/x && npm test", error: "pier is full", at: T0, files: ["/p/a.ts", "/p/b.ts"] };
  const failures = [failed, { ...failed, passedAt: T0 + 60_000 }];
  const text = shown({ failures, droppedTodos: [{ text: "oil the winch", at: T0 }] });
  expect(linesUnder(text, "commands that failed, and passed after changes:")).toEqual([
    '- `cd x && npm test` failed ("pier is full"), passed (59 min ago) after changes of a.ts, b.ts',
  ]);
  expect(linesUnder(text, "to-dos that were open when the chat dropped them")).toEqual([
    "- oil the winch (60 min ago)",
  ]);
});

it("of an answer with a table that was approved nine words of ten stand, where they fit", () => {
  const rows = times(65, (n) => `| berth ${n} | pier ${n % 7} | ${n * 13} boats a week |`);
  const table = ["| Berth | Pier | Boats |", "| --- | --- | --- |", ...rows];
  const plan = ["I would lay the berths out so:", "", ...table, "", "Shall I?"].join("\n");
  const asked = [{ text: "yes", at: T0 + 3_000, answers: "Shall I?" }];
  const said = [{ text: "I begin.", at: T0 + 4_000 }];
  const text = shown({ prompts: asked, earlierWords: [{ text: plan, at: T0 }], words: said });
  const words = plan.split(/\s+/);
  expect(words.filter((word) => text.includes(word)).length / words.length).toBeGreaterThan(0.9);
  expect(rows.filter((row) => text.includes(row)).length / rows.length).toBeGreaterThan(0.9);
});

it("of the client's summary the parts that point ahead stand, shorter once the user has asked again", () => {
  const rest = "Then the mast is painted. ".repeat(60);
  const compactSummary = `1. Request:\n   paint it\n2. Pending Tasks:\n   - the hull. ${rest}\n3. Next Step:\n   sand it`;
  const quoted = (at: number): string => {
    const state = { prompts: [{ text: "go on", at }], compactSummary, statedAt: { summary: T0, compaction: T0 } };
    return /^of the client's own summary .*\n.*$/m.exec(shown(state))?.[0] ?? "";
  };
  expect(quoted(T0)).toMatch(/, the parts that point ahead, perhaps outdated:\n- 2\. Pending Tasks: .* sand it$/);
  expect(quoted(T0 + 1)).toContain("perhaps outdated (prompts since then: 1):");
  expect([T0, T0 + 1].map((at) => quoted(at).length > 1_000)).toEqual([true, false]);
});

it("a compaction whose summary cannot be read is said, until one can be read", () => {
  const texts = [T0 - 1, T0 + 1].map((summary) => shown({ statedAt: { compaction: T0, summary } }));
  const line = "its client compacted it (60 min ago); the summary cannot be read";
  expect(texts.map((text) => text.includes(line))).toEqual([true, false]);
});
