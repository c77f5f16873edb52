import { expect, it } from "vitest";
import type { WorkState } from "#src/contract/work-state.ts";
import type { RestoredFile } from "#src/machine/recovery/incomplete/restoration.ts";
import { composeBrief } from "#src/machine/recovery/brief/brief.ts";
import { aRestoration, aSession, prompts } from "#harness/machine/temp-runtime.ts";
import { linesUnder, shown, times } from "#harness/machine/brief-text.ts";
import { T0 } from "#harness/store/store-test.ts";

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

const filler = times(40, (n) => `   - Board ${n} of the deck was sanded and oiled.`);
const compactSummary = [
  "1. Primary Request and Intent:",
  "   Paint the boat.",
  "2. Key Files:",
  "   - src/hull.ts",
  "     - paintHull takes a colour, maxCoats bounds it",
  "   - src/mast.ts: `raiseMast` fails in wind_speed over 9",
  "     '''ts",
  "     const quotedOnce = readTide();",
  "     '''",
  ...filler,
  "6. All user messages:",
  "   - paint the boat",
  "7. Pending Tasks:",
  "   - Sand the keel before the next tide comes in.",
].join("\n");
const hull = "- src/hull.ts - paintHull takes a colour, maxCoats bounds it";
const mast = "- src/mast.ts: `raiseMast` fails in wind_speed over 9";
const keel = "- Pending Tasks: Sand the keel before the next tide comes in.";

function summaryLines(state: Partial<WorkState>): string[] {
  const at = { summary: T0, compaction: T0 };
  const all = { compactSummary, statedAt: at, compactions: 1, prompts: prompts("Paint it."), ...state };
  return linesUnder(shown(all), "of the client's own summary of what it compacted");
}

it("a summary without a prompt since stands as it was written, what is next and what was found before all else", () => {
  const text = shown({ compactSummary, statedAt: { summary: T0, compaction: T0 }, compactions: 1 });
  const quoted = text.split("\n").flatMap((line) => (line.startsWith("> ") ? line.slice(2) : []));
  const code = new Set(["'''ts", "const quotedOnce = readTide();", "'''"]);
  const written = compactSummary.split("\n").filter((line) => !code.has(line.trim()));
  expect(quoted).toEqual(written.map((line) => line.replace(/^ {3}/, "")));
  const files = times(200, (n) => `   - src/board-${n}.ts is sanded and oiled, but for its ends`);
  const long = compactSummary.replace(filler.join("\n"), files.join("\n"));
  const rest = shown({ compactSummary: long, statedAt: { summary: T0, compaction: T0 }, compactions: 1 });
  expect(rest).toContain("> - Sand the keel before the next tide comes in.");
  expect(rest).toContain("> - paint the boat");
  expect([rest.includes("src/board-1.ts"), rest.includes("src/board-199.ts")]).toEqual([true, false]);
});

it("of a summary as it was written a line that is too long costs no other one, and no heading within it is its beginning", () => {
  const board = "The boat is oiled, but for its ends. ".repeat(60).trim();
  const lines = ["1. Paint the hull.", ...times(20, (n) => `   ${n} ${board}`), "   Summary:", "2. Oil the keel."];
  const state = { compactSummary: lines.join("\n"), statedAt: { summary: T0, compaction: T0 }, compactions: 1 };
  const quoted = shown(state).split("\n");
  expect(quoted).toEqual(expect.arrayContaining(["> 1. Paint the hull.", "> Summary:", "> 2. Oil the keel."]));
  const boards = quoted.filter((line) => line.includes("The boat is oiled"));
  expect(boards.length).toBeGreaterThan(0);
  expect(boards.length).toBeLessThan(20);
});

it("of an older summary items stand, those with names first, without prompts that are here", () => {
  const paint = "paint the boat";
  const since = { text: "Now the cabin.", at: T0 + 1 };
  const lines = summaryLines({ prompts: [{ text: paint, at: T0 - 1 }, since] });
  const found = lines.filter((line) => [hull, mast, keel].some((item) => line.startsWith(item)));
  expect(found).toEqual([hull, mast, keel]);
  expect(lines.join("\n")).not.toMatch(/user messages|paint the boat/);
  expect(summaryLines({ prompts: [since] })).toContain(`- All user messages: ${paint}`);
  expect(lines.join("\n")).toContain("Board 1 of the deck");
});

it("items of the summary stand until newer facts replace them: what prompts say again goes, what was edited since goes last", () => {
  const later = times(5, (n) => ({ text: `Now paint the cabin ${n}.`, at: T0 + n + 1 }));
  const said = { text: "Sand the keel before the next tide comes in, and oil it.", at: T0 + 9 };
  expect(summaryLines({ prompts: later.slice(0, 1) })).toEqual(expect.arrayContaining([hull, mast, keel]));
  expect(summaryLines({ prompts: [...later.slice(0, 1), said] })).not.toContain(keel);
  expect(summaryLines({ prompts: later })).toEqual(expect.arrayContaining([hull, mast]));
  const full = { prompts: later, words: [{ text: "The hull is dry. ".repeat(500), at: T0 }] };
  const edited = summaryLines({ ...full, editedSince: ["/p/src/hull.ts"] });
  expect([edited.includes(mast), edited.includes(hull)]).toEqual([true, false]);
});

it("what the summary says of a file stands in the line of that, until the chat edits it again", () => {
  const edited = { action: "edited", hash: null, at: T0, now: "same", isCommitted: true } as const;
  const files = ["/p/src/hull.ts", "/p/src/mast.ts"].map((path): RestoredFile => Object.assign({ path }, edited));
  const at = { summary: T0, compaction: T0 };
  const since = [{ text: "Now the cabin.", at: T0 + 1 }];
  const of = (state: Partial<WorkState>): string =>
    shown(
      { compactSummary, statedAt: at, compactions: 1, prompts: since, ...state },
      { files, session: aSession({ project: "/p" }) },
    );
  const text = of({});
  const state = "(edited, committed or unchanged by git)";
  expect(text).toContain(`src/hull.ts ${state}; by the summary: paintHull takes a colour, maxCoats bounds it`);
  expect(text).toContain(`src/mast.ts ${state}; by the summary: \`raiseMast\` fails in wind_speed over 9`);
  expect([text.includes(hull), text.includes(mast)]).toEqual([false, false]);
  const later = of({ editedSince: ["/p/src/hull.ts"] });
  expect(later).not.toContain("by the summary: paintHull");
  expect(later).toContain("by the summary: `raiseMast`");
  const fresh = of({ prompts: [] });
  expect(fresh).toContain(`src/hull.ts ${state}; by the summary: paintHull takes a colour, maxCoats bounds it`);
  expect(fresh).not.toMatch(/^> .*(?:hull|mast)\.ts/m);
});

it("a problem of the summary stands with what came of it, or not at all, also where the room ends", () => {
  const problems = times(60, (n) => [
    `   - **Leak ${n}** in the hull:`,
    `     - The cause was plank ${n}.`,
    `     - Fix: caulk it.`,
  ]);
  for (const length of [0, 400, 800, 1_600]) {
    const lines = ["4. Errors and fixes:", ...problems.flat()];
    const words = [{ text: "The hull is dry. ".repeat(length / 16), at: T0 }];
    const text = shown({ compactSummary: lines.join("\n"), statedAt: { summary: T0 }, compactions: 1, words });
    const shownOf = (line: RegExp): number => [...text.matchAll(line)].length;
    const counts = [/> - Leak \d/g, /The cause was/g, /Fix: caulk/g].map(shownOf);
    expect(counts[0]).toBeGreaterThan(5);
    expect(counts).toEqual([counts[0], counts[0], counts[0]]);
  }
});

it("of what the summary says was asked and found the newest, which stands last, has room first", () => {
  const boards = times(60, (n) => `   - Board ${n} is ${"sanded and oiled, ".repeat(5)}but for its ends.`);
  const text = shown({
    compactSummary: ["1. Primary Request:", ...boards, "4. Errors and fixes:", ...boards].join("\n"),
    statedAt: { summary: T0 },
  });
  const found = [...text.matchAll(/Board (\d+) is/g)].map(([, n]) => Number(n));
  expect(found.length).toBeGreaterThan(5);
  expect(found.length).toBeLessThan(60);
  expect(found).toEqual(times(60, (n) => n).slice(-found.length));
});

it("a list that a line of the summary announces stands with it, numbers of its own are no headings", () => {
  const lines = [
    "8. Current Work:",
    "   The tide comes in this order:",
    "   1. The hull floats.",
    "   2. The mast stands.",
  ];
  const text = shown({
    compactSummary: ["1. Primary Request:", "   Paint.", ...lines].join("\n"),
    statedAt: { summary: T0 },
  });
  expect(text).toContain(lines.map((line) => `> ${line.replace(/^ {3}/, "")}`).join("\n"));
});

it("what stands below a line of the summary that is too long goes with it", () => {
  const ends = "it is oiled, but for its ends. ".repeat(40);
  const boards = ["stem", "keel", "deck", "rail"].flatMap((name) => [
    `   - ${name}: ${ends}`,
    `     - below the ${name}`,
  ]);
  const state = { compactSummary: ["1. Paint the hull:", ...boards].join("\n"), statedAt: { summary: T0 } };
  const text = shown(state);
  const [whole, below] = [/> - (\w+): it is/g, /below the (\w+)/g].map((line) =>
    [...text.matchAll(line)].map(([, name]) => name),
  );
  expect(whole?.length).toBeLessThan(4);
  expect(below).toEqual(whole);
});

it("a fresh summary and names of files have room beside a long request", () => {
  const plan = times(400, (n) => `Step ${n} paints a board.`).join(" ");
  const names = [{ name: "stormHold", file: "/p/src/hull.ts", worth: 1, change: null }];
  const text = shown(
    { compactSummary, statedAt: { summary: T0, compaction: T0 }, compactions: 1, prompts: prompts(plan, "Go on.") },
    { session: aSession({ project: "/p" }), learnt: { names, sentences: new Map() } },
  );
  expect(text).toContain("Sand the keel before the next tide comes in.");
  expect(text).toContain(
    "src/hull.ts (named); by the summary: paintHull takes a colour, maxCoats bounds it; has stormHold",
  );
});

it("a chat that takes a session has all of its fresh summary, and names of its work in the room that a part of that had in the brief", () => {
  const long = `   - src/hull.ts: ${times(40, (n) => `plank ${n} is oiled.`).join(" ")}`;
  const state = { compactSummary: `2. Key Files:\n${long}`, statedAt: { summary: T0 } };
  const edited = { action: "edited", hash: null, at: T0, now: "same", isCommitted: true } as const;
  const files: RestoredFile[] = [{ path: "/p/src/hull.ts", ...edited }];
  const composed = composeBrief(aRestoration(state, { files, session: aSession({ project: "/p" }) }), T0);
  const [alone, taken] = [composed.text("resume"), composed.whole("resume", "hook")];
  expect(alone).toContain("plank 1 is oiled.");
  expect(alone).not.toContain("plank 20 is oiled.");
  expect(taken).toContain(`> ${long}`);
  expect(taken.split("plank 1 is oiled.")).toHaveLength(2);
});

it("a compaction whose summary cannot be read is said, until one can be read", () => {
  const texts = [T0 - 1, T0 + 1].map((summary) => shown({ statedAt: { compaction: T0, summary } }));
  const line = "its client compacted it (60 min ago); the summary cannot be read";
  expect(texts.map((text) => text.includes(line))).toEqual([true, false]);
});

it("a long command that cannot be undone leaves room for its outcome", () => {
  const command = `gh pr edit 7 --body "${"Paint the hull, and sand it. ".repeat(6)}"`;
  const effects = [{ kind: "message", command, call: "c", at: T0, outcome: "done" } as const];
  const [line = ""] = linesUnder(shown({ effects }), "what cannot be undone");
  expect(line).toMatch(/^- 60 min ago: gh pr edit 7 --body .*\.\.\.: done$/);
});
