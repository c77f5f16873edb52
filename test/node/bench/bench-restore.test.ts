import { describe, expect, it } from "vitest";
import type { Fact } from "../../../bench/restore/facts.ts";
import { sessionInHint } from "../../../bench/restore/brief-in.ts";
import { judge } from "../../../bench/restore/judge.ts";
import { kindNames, makeSession, sessionsOfRound } from "../../../bench/restore/kinds.ts";

const facts: readonly Fact[] = [
  { kind: "prompt", words: ["zorvex", "brimlo"] },
  { kind: "last words", words: ["kappelu", "mistro"] },
  { kind: "note", words: ["vendiko", "tandro"] },
  { kind: "answer", words: ["queuelo", "chosenop"], rejected: "otherop" },
  { kind: "to-do", words: ["stepdone", "partdone"], isDone: true },
  { kind: "to-do", words: ["stepopen", "partopen"], isDone: false },
  { kind: "standing", is: "running" },
  { kind: "running", words: ["exec sleep 600"] },
  { kind: "changed file", path: "src/edited.ts", by: "Edit", isElsewhere: false },
  { kind: "unchanged file", path: "lib/same.ts" },
  { kind: "edited by hand", path: "docs/hand.md", wasChangedBefore: true },
  { kind: "edited by hand", path: "docs/fresh.md", wasChangedBefore: false },
  { kind: "left branch", words: ["branchy"] },
  { kind: "foreign", words: ["alienword"], of: "other chat" },
];

const lines = [
  "how it stood (3 s ago): in mid-turn, running Bash exec sleep 600 (begun 2 s before; no result was seen)",
  "saved by the chat with SHIM's tools:",
  "- goal (2 min ago): vendiko by way of tandro",
  "the user's answers to questions of the chat:",
  "- Which one for the queuelo, chosenop or otherop? -> chosenop (2 min ago)",
  "the user's prompts, oldest first:",
  "- 3 min ago: Make the zorvex read brimlo.",
  "the chat's last words:",
  "- 3 s ago: I changed the kappelu, and mistro comes next; stepdone of partdone is ready, lib/same.ts is changed.",
  "open to-dos of the chat's list (1 min ago), 1 of 2 are open:",
  "- in progress: Build stepopen for partopen",
  "files, newest first (compared now, by content unless a line says otherwise):",
  "- src/edited.ts (edited): as the chat left it, by size and time",
  "- docs/hand.md (created): MISSING",
  "- docs/fresh.md (by a command or by hand): not verified",
  "git: was branchy at 0123456789ab, is now main at 0123456789ab (CHANGED)",
];
const brief = lines.join("\n");

it("a hint of one line names the session to ask for; a brief is none", () => {
  expect(
    sessionInHint('SHIM: a chat was closed. Continue it: shim_check_recovery (of "one-session", take true).'),
  ).toBe("one-session");
  expect(sessionInHint('SHIM: a brief\ngit: x\nshim_check_recovery (of "one-session", take true)')).toBeNull();
});

describe("the judge of bench:restore", () => {
  it("finds everything in a whole brief, and nothing false", () => {
    const { findings, falseStatements, recall } = judge(brief, facts);
    expect(findings.filter(({ isFound }) => !isFound)).toEqual([]);
    expect(falseStatements).toEqual([]);
    expect(recall).toBe(1);
  });

  it.each([
    [0, ["standing", "running"]],
    [2, ["note"]],
    [4, ["answer"]],
    [6, ["prompt"]],
    [8, ["last words"]],
    [10, ["to-do"]],
    [12, ["changed file"]],
    [13, ["edited by hand"]],
    [14, ["edited by hand"]],
    [15, ["left branch"]],
  ])("misses what line %i has", (line, kinds) => {
    const { findings } = judge(lines.toSpliced(line, 1).join("\n"), facts);
    expect(findings.filter(({ isFound }) => !isFound).map(({ kind }) => kind)).toEqual(kinds);
  });

  it("finds a file that is not on the machine of the next chat", () => {
    const [elsewhere] = facts.flatMap((fact) => (fact.kind === "changed file" ? { ...fact, isElsewhere: true } : []));
    const [here, there] = ["the same here", "NOT HERE"].map((state) =>
      judge(`- src/edited.ts (edited): ${state}`, elsewhere ? [elsewhere] : []),
    );
    expect([here?.recall, here?.falseStatements.length]).toEqual([0, 1]);
    expect([there?.recall, there?.falseStatements.length]).toEqual([1, 0]);
  });

  it.each([
    ["how it stood (3 s ago): the turn was over, and the chat waited for the user", "it did not stand so"],
    ["- Which one for the queuelo? -> otherop", "an option that was not chosen"],
    ["open to-dos of the chat's list:\n- Build stepdone for partdone", "a to-do that is done"],
    ["git: branchy at 0123456789ab, unchanged, read now", "the branch stated as unchanged"],
    ["- 3 min ago: alienword", "of the other chat"],
    ["- src/edited.ts (edited): CHANGED since the checkpoint", "the state of a file that the chat changed"],
    ["- lib/same.ts (edited): as the chat left it", "a file that nobody changed stated as changed"],
    ["- docs/hand.md (created): unchanged since the checkpoint", "a file that was edited by hand stated as left"],
  ])("takes %j for false", (line, why) => {
    expect(judge(line, facts).falseStatements.map((one) => one.why)).toEqual([why]);
  });

  it("weighs the files of a session together no more than three prompts", () => {
    const files = Array.from(
      { length: 12 },
      (_, n) => ({ kind: "changed file", path: `src/f${n}.ts`, by: "Edit", isElsewhere: false }) as const,
    );
    expect(judge("- zorvex of brimlo", [...files, facts[0]!]).recall).toBeCloseTo(2 / 8);
  });
});

describe("the sessions of bench:restore", () => {
  it("makes the same session from the same seed, and another from another", () => {
    for (let index = 0; index < sessionsOfRound; index++) {
      const again = [1, 1, 2].map((seed) => JSON.stringify(makeSession(seed, index)));
      expect(again[0]).toBe(again[1]);
      expect(again[0]).not.toBe(again[2]);
    }
  });

  it("judges a brief with all prompts and answers as one that forgets no word", () => {
    for (const index of kindNames.keys()) {
      const plan = makeSession(3, index);
      const texts = plan.main.parts.flatMap((part) => (part.do === "turn" ? [part.turn.prompt, part.turn.reply] : []));
      const { findings } = judge(texts.join("\n"), plan.facts);
      const missed = findings.filter(({ kind, isFound }) => ["prompt", "last words"].includes(kind) && !isFound);
      expect(missed, plan.name).toEqual([]);
    }
  });
});
