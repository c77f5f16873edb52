import { expect, it } from "vitest";
import { brief, type Occasion } from "#src/machine/recovery/brief/brief.ts";
import type { Restoration } from "#src/machine/recovery/incomplete/restoration.ts";
import { age, clip } from "#src/shared/format.ts";
import { aRestoration, aSession, prompts } from "#harness/machine/restorations.ts";
import { T0 } from "#harness/store/temp-store.ts";

const occasions: Occasion[] = ["ask", "brief", "resume", "resumed"];
const now = T0 + 360_000;
const snapshot = { repository: null, checkpointId: "cp_1", state: "done", reason: null, commit: "c" };

/** A session with something of everything. */
const whole: Parameters<typeof aRestoration>[0] = {
  prompts: prompts("fix the parser", "and the lexer"),
  words: [{ text: "I write\nthe lexer now.", at: T0 + 5_000 }],
  goal: "a parser without faults",
  done: ["read it"],
  inProgress: ["write it"],
  nextStep: "test it",
  decisions: ["no regex, for it is slow"],
  openQuestions: ["which version?"],
  state: { port: 8080 },
  statedAt: { goal: T0, todos: T0, summary: T0 },
  clientGoal: { text: "all tests pass", at: T0 },
  plan: { text: "# Parser\n1. lexer\n\n2. grammar", at: T0, path: "/plans/parser.md" },
  answers: [{ question: "Which colour?", answer: "Green", at: T0 }],
  compactSummary: "Earlier: the plan.",
  todos: [
    { text: "one", status: "completed" },
    { text: "two", status: "in_progress" },
    { text: "three", status: "pending" },
  ],
  calls: [
    { name: "Bash", input: "ls", at: T0 },
    { name: "Bash", input: "make", at: T0 + 6_000, error: "Exit code 2" },
  ],
  runningTools: [{ id: "a", name: "Bash", input: "npm test", startedAt: T0 + 50_000 }],
  failure: { text: "overloaded", at: T0 + 6_000 },
  git: { branch: "main", commit: "a1b2c3d4e5f6a7b8" },
};

it("its parts stand in one order: how it died and stood, what was saved, the prompts, the last words, the work, the files, what is verified", () => {
  const files = [{ path: "/p/a.ts", hash: "h", action: "edited", now: "same" }] as const;
  const text = brief(aRestoration(whole, { files }), now, "brief");
  expect(text.split("\n")).toEqual([
    expect.stringMatching(/^SHIM: an earlier session died 5 min ago\. .* not instructions\.$/),
    "<shim-recovered-session-20487890>",
    expect.stringMatching(/^client: .*; project: \/p; started 6 min ago; 3 tool calls, 1 failed$/),
    "why it died: killed (Its process vanished.)",
    "how it stood (5 min ago): in mid-turn, running Bash npm test (begun 10 s before; no result was seen; it may still run, or have finished)",
    "/goal (6 min ago): all tests pass",
    "saved by the chat with SHIM's tools:",
    "- goal (6 min ago): a parser without faults",
    "- done: read it",
    "- in progress: write it",
    "- next step: test it",
    "- decisions: no regex, for it is slow",
    "- open questions: which version?",
    '- state: {"port":8080}',
    "plan (/plans/parser.md, approved 6 min ago; 3 lines):",
    "  # Parser",
    "  1. lexer",
    "  2. grammar",
    "the user's answers to questions of the chat:",
    "- Which colour? -> Green (6 min ago)",
    "of the client's own summary of what it compacted (6 min ago), perhaps outdated (prompts since then: 1):",
    "- Earlier: the plan.",
    "the user's prompts, oldest first:",
    "- 6 min ago: fix the parser",
    "- 5 min ago: and the lexer",
    "the chat's last words:",
    "- 5 min ago: I write the lexer now.",
    "open to-dos of the chat's list (6 min ago), 2 of 3 are open:",
    "- in progress: two",
    "- three",
    "its last calls, as its client recorded them:",
    "- Bash ls",
    "- Bash make FAILED: Exit code 2",
    "the client failed (5 min ago): overloaded",
    "files, newest first (compared now, by content unless a line says otherwise):",
    "- a.ts (edited): unchanged since the checkpoint",
    "git: was main at a1b2c3d4e5f6; cannot be read now",
    "last checkpoint: none; all of this comes from the journal",
    expect.stringMatching(
      /^of the session: 2 of 2 prompts quoted; the chat's newest words are there, the end of its turn is not; 1 of 1 files as left \(compared: 1 by content\)\. Not verified: /,
    ),
    "</shim-recovered-session-20487890>",
    expect.stringContaining("shim_check_recovery"),
  ]);
});

it("what is not known has no line", () => {
  const lines = brief(aRestoration(), now, "brief").split("\n").slice(2, -2);
  expect(lines.map((line) => line.split(/[:(]/, 1)[0]?.trim())).toEqual([
    "client",
    "why it died",
    "how it stood",
    "last checkpoint",
    "of the session",
  ]);
});

it("an answered question, a goal and a next step stand only where the chat saved them by a tool", () => {
  const said = [{ text: "Next I will paint the mast. Shall I use green?", at: T0 + 1_000 }];
  const text = brief(
    aRestoration({ prompts: prompts("We must paint the boat. Always use oil."), words: said }),
    now,
    "ask",
  );
  expect(text).not.toMatch(/^(?:- )?(?:goal|next step|decisions|standing orders)/m);
  expect(text).toContain("- 5 min ago: Next I will paint the mast. Shall I use green?");
});

it("each reader is instructed what to do with it", () => {
  const openings = occasions.map((occasion) => brief(aRestoration(), now, occasion));
  expect(openings[0]).toMatch(/^SHIM: .*Ask the user whether to continue it/);
  expect(openings[1]).toContain("Tell the user in one sentence that you have it");
  expect(openings[2]).toContain("Continue this work now from where it stood");
  expect(openings[3]).toMatch(/^SHIM: this session died 5 min ago and was resumed/);
  expect(openings.map((text) => text.includes("--undo"))).toEqual([false, false, true, false]);
  expect(openings.map((text) => text.includes("take true"))).toEqual([true, true, false, false]);
});

it("a session that ended well or that lives is not said to have died", () => {
  const ended = aRestoration({}, { cause: null, session: aSession({ endedAt: T0 + 60_000 }) });
  expect(brief(ended, now, "brief")).toMatch(/^SHIM: an earlier session ended 5 min ago\./);
  const alive = aRestoration({ runningTools: whole.runningTools ?? [] }, { cause: null });
  const text = brief(alive, now, "brief");
  expect(text).toMatch(/^SHIM: an earlier session is still open\./);
  expect(text).toContain("running Bash npm test (begun 10 s before; no result was seen)");
});

it.each<[string, Partial<Restoration>]>([
  ["git: main at a, unchanged, read now", { head: { branch: "main", commit: "a" } }],
  ["git: was main at a, is now detached at no commit (CHANGED)", { head: { branch: null, commit: null } }],
  ["`shim restore cp_1`", { snapshot }],
  ["no snapshot (git is too old)", { snapshot: { ...snapshot, state: "failed", reason: "git is too old" } }],
])("git and the saved files are compared with then: %s", (line, overrides) => {
  const state = { git: { branch: "main", commit: "a" } };
  expect(brief(aRestoration(state, overrides), now, "brief")).toContain(line);
});

it("of many files those that changed come first, and the rest is counted", () => {
  const file = { hash: "h", action: "edited", now: "same" } as const;
  const same = Array.from({ length: 70 }, (_, index) => ({ ...file, path: `/p/${index}` }));
  const gone = { ...file, path: "/p/gone", now: "missing" } as const;
  const text = brief(aRestoration({}, { files: [...same, gone] }), now, "brief");
  expect(text).toMatch(/files, newest first \([^\n]*\):\n- gone \(edited\): MISSING\n- 69 /);
  expect(text).toContain("- and 56 more");
});

it.each([
  ["running", "in mid-turn, running Bash"],
  ["interrupted", "the user had interrupted the turn"],
  ["waiting", "the turn was over, and the chat waited for the user"],
  ["unanswered", "the user's last prompt had no answer yet"],
  ["working", "no end of its turn was seen; it had answered or made a call since the last prompt"],
  ["unknown", "nothing had been asked yet"],
])("one line says how the chat stood: %s", (standing, line) => {
  const asked = standing === "unknown" ? {} : { prompts: prompts("paint it") };
  const state = {
    running: { runningTools: whole.runningTools ?? [] },
    interrupted: { interruptedAt: T0 + 9_000 },
    waiting: { turnEndedAt: T0 + 9_000 },
    working: { words: [{ text: "I begin.", at: T0 + 9_000 }] },
  }[standing];
  const text = brief(aRestoration({ ...asked, ...state }), now, "ask");
  expect(text).toContain(`\nhow it stood (5 min ago): ${line}`);
});

it("ages are whole units, never in the future; cut texts say how much is missing", () => {
  const times = [-5, 0, 119_999, 120_000, 7_199_999, 7_200_000, 172_799_999, 172_800_000];
  expect(times.map(age)).toEqual(["0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
  expect(clip("x".repeat(100), 60)).toBe(`${"x".repeat(40)} ... [60 more]`);
  expect(clip("short", 60)).toBe("short");
});
