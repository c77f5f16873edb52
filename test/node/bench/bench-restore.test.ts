import { describe, expect, it } from "vitest";
import { scoreIn } from "../../../bench/restore/brief-score.ts";
import type { Fact } from "../../../bench/restore/facts.ts";
import { sessionInHint } from "../../../bench/restore/brief-in.ts";
import { judge } from "../../../bench/restore/judge.ts";
import { isDone, isError, isNegative } from "../../../bench/restore/judge-words.ts";
import { makeSession, sessionsOfRound } from "../../../bench/restore/kinds.ts";
import type { Phrase } from "../../../bench/restore/phrasings/bank.ts";
import { english } from "../../../bench/restore/phrasings/english.ts";
import { freshOtherLanguages } from "../../../bench/restore/phrasings/fresh-other-languages.ts";
import { fresh } from "../../../bench/restore/phrasings/fresh.ts";
import { languageCount, otherLanguages } from "../../../bench/restore/phrasings/other-languages.ts";

/** A session of which everything that is judged is known. */
const facts: Fact[] = [
  { kind: "goal", words: ["zorvex", "brimlo"] },
  { kind: "finished-goal", words: ["kappelu", "mistro"] },
  { kind: "order", words: ["tandro"], isBan: false, isEnglish: true },
  { kind: "order", words: ["vendiko"], isBan: true, isEnglish: true },
  { kind: "decision", words: ["queuelo", "newval"] },
  { kind: "reversed", subject: "queuelo", oldValue: "oldval", newValue: "newval" },
  { kind: "rejected", value: "otherop", chosen: "chosenop" },
  { kind: "next", words: ["stepnext", "partnext"] },
  { kind: "done-step", words: ["stepdone", "partdone"] },
  { kind: "changed-file", path: "src/edited.ts", by: "Edit" },
  { kind: "unchanged-file", path: "lib/same.ts" },
  { kind: "hand-edited", path: "docs/hand.md", wasChangedBefore: true },
  { kind: "error", words: ["errnow", "errpart"] },
  { kind: "solved-error", words: ["errold", "errgone"] },
  { kind: "name", words: ["acmeto", "4711"] },
  { kind: "left-branch", words: ["branchy"] },
  { kind: "foreign", words: ["alienword"], of: "other chat" },
];

const asLines = `goal: make zorvex read brimlo
standing orders:
- always run tandro
- never import vendiko
decisions:
- queuelo: newval (before: oldval, taken back)
next step (said 3 min ago): stepnext of partnext
files:
- src/edited.ts (edited): unchanged since the checkpoint
- docs/hand.md (edited): CHANGED since the checkpoint
last error: Error: errnow in errpart
noted: acmeto has 4711 rows
git: was branchy at 1234, is now main (CHANGED)`;

const asMarkdown = `## Current task
Make zorvex read brimlo

## What the user wants throughout
* Use tandro for the tests
* Don't use vendiko

## Agreed
1. We drop oldval, queuelo will be newval

### Next
- stepnext, then look at partnext

**Changed in this session:**
- \`src/edited.ts\`, 3 min ago
**Changed by hand since then:**
- \`docs/hand.md\`

## Unsolved error
errnow failed with errpart

## Also known
acmeto is limited to 4711 ms; the branch was branchy`;

const asProse = `SHIM: what follows is recovered data.
Current goal \u2014 make zorvex read brimlo.
The user said: always tandro. The user said: hands off vendiko.
Decided: queuelo uses newval instead of oldval.
Next | stepnext for partnext
Changed files: src/edited.ts, other.ts; gone since then: docs/hand.md
Open error: fatal: errnow of errpart
acmeto / 4711
branch: branchy then, main now`;

it("a hint of one line names the session to ask for; a brief is none", () => {
  expect(
    sessionInHint('SHIM: a chat was closed. Continue it: shim_check_recovery (of "one-session", take true).'),
  ).toBe("one-session");
  expect(sessionInHint('SHIM: a brief\ngoal: x\nshim_check_recovery (of "one-session", take true)')).toBeNull();
});

describe("the judge of bench:restore", () => {
  it.each([
    ["labelled lines", asLines],
    ["Markdown", asMarkdown],
    ["prose", asProse],
  ])("finds everything in %s, and nothing false", (_, brief) => {
    const { findings, falseStatements, recall } = judge(brief, facts);
    expect(findings.filter(({ share }) => share < 1)).toEqual([]);
    expect(falseStatements).toEqual([]);
    expect(recall).toBe(1);
  });

  it("finds nothing in an empty brief", () => {
    expect(judge("", facts)).toMatchObject({ recall: 0, falseStatements: [] });
  });

  it.each([
    [
      "a goal that only the conversation names",
      "goal: something else\nend of the conversation:\n- user: make zorvex read brimlo",
    ],
    ["a ban that lost its never", "orders:\n- import vendiko"],
    ["a decision without its subject", "decisions:\n- newval"],
    ["a next step that only the conversation names", "conversation:\n- assistant: stepnext comes after partnext"],
    ["a file that is only listed", "files:\n- src/edited.ts"],
    ["a file whose change by hand is not told", "files:\n- docs/hand.md (edited)"],
  ])("gives half for %s", (_, brief) => {
    expect(judge(brief, facts).findings.filter(({ share }) => share > 0)).toMatchObject([{ share: 0.5 }]);
  });

  it.each([
    ["goal: have kappelu import mistro", "a finished goal stated as current"],
    ["last request: have kappelu import mistro", "a finished goal stated as current"],
    ["## Current task\nhave kappelu import mistro", "a finished goal stated as current"],
    ["requests in between:\n- new topic: have kappelu import mistro", null],
    ["decisions:\n- oldval for the queuelo", "a value that was given up, without what came instead"],
    [
      "decisions:\n- oldval for the queuelo\n- newval for the queuelo",
      "a value that was given up, without what came instead",
    ],
    ["conversation:\n- user: take oldval", "a value that was given up, without what came instead"],
    ["decisions:\n- dialog: otherop", "an option that was not chosen stated as decided"],
    ["next step: stepdone for partdone", "a done step stated as the next one"],
    ["to do:\n- stepdone for partdone", "a done step stated as the next one"],
    ["last error: errold of errgone", "a solved error stated as open"],
    ["solved errors:\n- errnow of errpart", "an open error stated as solved"],
    ["files:\n- src/edited.ts: unchanged", "a changed file stated as unchanged"],
    ["unchanged: src/edited.ts", "a changed file stated as unchanged"],
    ["files:\n- lib/same.ts (edited): unchanged", null],
    ["changed files:\n- lib/same.ts", "an unchanged file stated as changed"],
    ["docs/hand.md (edited): unchanged since the checkpoint", "a file that was edited by hand stated as unchanged"],
    ["requests:\n- alienword", "of the other chat"],
    ["git: branchy at 1234, unchanged", "the branch stated as unchanged"],
  ])("judges %j", (brief, why) => {
    expect(judge(brief, facts).falseStatements.map((one) => one.why)).toEqual(why === null ? [] : [why]);
  });

  it.each([
    "first request: have kappelu import mistro",
    "earlier requests, finished:\n- have kappelu import mistro",
    "requests:\n- have kappelu import mistro\n- make zorvex read brimlo",
    "goal: have kappelu import mistro (finished)",
    "decisions:\n- take oldval\n- newval instead of oldval",
    "conversation:\n- user: take oldval\n- user: for the queuelo take newval",
    "decisions:\n- dialog: chosenop (not otherop)",
    "next step: Done: stepdone for partdone. Then stepnext for partnext.",
    "done:\n- stepdone for partdone",
    "errors that were solved:\n- errold of errgone",
    "last error: errold of errgone (solved since)",
    "files:\n- lib/same.ts (read): not verified",
    "changed files: other.ts; unchanged: lib/same.ts",
    "another chat of this project is open: alienword",
  ])("takes %j for right", (brief) => {
    expect(judge(brief, facts).falseStatements).toEqual([]);
  });

  it("weighs the files of a session together no more than two standing orders", () => {
    const files = Array.from(
      { length: 12 },
      (_, n) => ({ kind: "changed-file", path: `src/f${n}.ts`, by: "Edit" }) as const,
    );
    const order = { kind: "order", words: ["tandro"], isBan: false, isEnglish: true } as const;
    expect(judge("always tandro", [...files, order]).recall).toBeCloseTo(3 / 9);
  });

  it.each([
    ["restore score: 87 of 100 (request 100 %)", 87],
    ["Score 72/100", 72],
    ["how complete: 65 out of 100", 65],
    ["nothing", null],
  ])("reads the score of %j", (brief, score) => {
    expect(scoreIn(brief)).toBe(score);
  });
});

describe("the sessions of bench:restore", () => {
  it("makes the same session from the same seed, and another from another", () => {
    for (let index = 0; index < sessionsOfRound; index++) {
      const again = [1, 1, 2].map((seed) => JSON.stringify(makeSession(seed, index, "known")));
      expect(again[0]).toBe(again[1]);
      expect(again[0]).not.toBe(again[2]);
    }
  });

  it("has at least twelve phrasings of each kind, and uses no sentence of one half in the other", () => {
    for (const bank of [english, otherLanguages]) {
      for (const [phrase, list] of Object.entries(bank)) {
        expect(list.length, phrase).toBeGreaterThanOrEqual(12);
        expect(new Set(list).size, phrase).toBe(list.length);
      }
    }
    for (const list of Object.values(otherLanguages)) expect(list).toHaveLength(2 * languageCount);
  });

  it("has a third set with the same kinds, slots and languages, and no sentence of the other two", () => {
    for (const [ownBank, bank] of [
      [fresh, english],
      [freshOtherLanguages, otherLanguages],
    ] as const) {
      expect(Object.keys(ownBank)).toEqual(Object.keys(bank));
      for (const [phrase, list] of Object.entries(ownBank)) {
        const others = bank[phrase as Phrase] ?? [];
        expect(list.length, phrase).toBeGreaterThanOrEqual(8);
        expect(new Set([...list, ...others]).size, phrase).toBe(list.length + others.length);
        for (const text of list) expect(others.map(slotsIn), text).toContain(slotsIn(text));
      }
    }
    for (const list of Object.values(freshOtherLanguages)) expect(list).toHaveLength(2 * languageCount);
  });

  it("plants bans, errors and finished steps in words that the judge knows", () => {
    for (const bank of [english, fresh]) {
      for (const text of bank.ban ?? []) expect(text.toLowerCase()).toMatch(isNegative);
      for (const text of bank.error ?? []) expect(`exit code 1 ${text}`.toLowerCase()).toMatch(isError);
    }
    for (const bank of [english, fresh, otherLanguages, freshOtherLanguages]) {
      for (const text of bank.done ?? []) expect(text.toLowerCase()).toMatch(isDone);
    }
  });

  it.each(["all", "fresh"] as const)("judges a brief with all prompts as one that forgets nothing (%s)", (half) => {
    for (let index = 0; index < sessionsOfRound; index++) {
      const plan = makeSession(3, index, half);
      const prompts = plan.main.parts.flatMap((part) =>
        part.do === "turn" ? [part.turn.prompt.replaceAll("\n", " ")] : [],
      );
      const brief = `requests of the user:\n${prompts.map((text) => `- ${text}`).join("\n")}`;
      const { findings } = judge(brief, plan.facts);
      const missed = findings.filter(({ kind, share }) => ["order", "name", "goal"].includes(kind) && share < 1);
      expect(missed, plan.name).toEqual([]);
    }
  });
});

function slotsIn(text: string): string {
  return [...new Set(text.match(/\$[abcn]/g))].toSorted().join(" ");
}
