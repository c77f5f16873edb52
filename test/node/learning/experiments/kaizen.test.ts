import { expect, it } from "vitest";
import { findWeek, weekOf, weeklyReport, type WeeklyFacts } from "#src/learning/experiments/weekly-report.ts";

const quiet: WeeklyFacts = {
  week: weekOf(Date.UTC(2026, 10, 22)),
  sessions: 0,
  causes: [],
  died: { chats: 0, deaths: 0, continued: 0, resumed: 0, dismissed: 0, open: 0, offered: 0, offeredTo: 0 },
  meanScore: null,
  checkpoints: { count: 0, bytes: 0 },
  costs: [],
  steps: [],
};

function nameOf(year: number, month: number, day: number): string {
  return weekOf(Date.UTC(year, month - 1, day)).name;
}

it("weeks are those of ISO 8601: from Monday, of the year of their Thursday", () => {
  expect(nameOf(2026, 11, 22)).toBe("2026-W47");
  expect(nameOf(2026, 11, 23)).toBe("2026-W48");
  expect(nameOf(2026, 1, 1)).toBe("2026-W01");
  expect(nameOf(2027, 1, 3)).toBe("2026-W53");
  expect(nameOf(2025, 12, 29)).toBe("2026-W01");
  expect(nameOf(2024, 12, 30)).toBe("2025-W01");
  for (let day = 0; day < 3_000; day += 5) {
    const week = weekOf(Date.UTC(2020, 0, 1) + day * 86_400_000);
    expect(findWeek(week.name)).toEqual(week);
    expect(new Date(week.from).getUTCDay()).toBe(1);
  }
  for (const name of ["2026-W54", "2025-W53", "2026-W00", "2026-47", "W47", ""]) expect(findWeek(name)).toBeNull();
});

it("a week without chats says so, in every part", () => {
  const text = weeklyReport(quiet, []);
  expect(text).toContain("# SHIM, 2026-W47\n\n2026-11-16 to 2026-11-22, UTC.");
  expect(text).toContain("No chat worked on this machine.");
  expect(text).toContain("The records show nothing that should change.");
  expect(text).not.toMatch(/NaN|undefined|Infinity|null/);
});

it("a full week has its figures", () => {
  const text = weeklyReport(
    {
      ...quiet,
      sessions: 84,
      causes: [
        { cause: "killed", chats: 7, unsavedCalls: 20 },
        { cause: "context_full", chats: 5, unsavedCalls: 11 },
      ],
      died: { chats: 12, deaths: 13, continued: 8, resumed: 1, dismissed: 1, open: 2, offered: 10, offeredTo: 14 },
      meanScore: 93.4,
      checkpoints: { count: 1_240, bytes: 12_345_678 },
      costs: [{ model: "claude-opus-5-5", dollars: 41.2 }],
      steps: [
        { at: Date.UTC(2026, 10, 18), text: "`checkpoint.everyMs` 300000 -> 200000: kept", why: "deaths lose calls" },
      ],
    },
    ["Save  more\noften."],
  );
  expect(text).toContain(
    "**Of 84 chats 12 died (13 deaths): 8 continued by another chat, 1 resumed, 1 dismissed, 2 open.** They cost $41.20.",
  );
  expect(text).toContain("| the context was full | 5 | 11 |");
  expect(text).toContain("1,240 checkpoints of this week are kept, 12.3 MB");
  expect(text).toContain(
    "10 of the 12 chats that died were offered to 14 chats with a mean restore score of 93 of 100 (prompts quoted, the end of the conversation there, files as left).",
  );
  expect(text).toContain("31 tool calls of the chats that died were in no checkpoint");
  expect(text).toContain("- 2026-11-18: `checkpoint.everyMs` 300000 -> 200000: kept. Why: deaths lose calls.");
  expect(text).toContain("- Save more often.");
});
