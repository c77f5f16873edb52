import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import type { JournalRow } from "#src/machine/sessions/journal.ts";
import { firstPrompt, lastRequest, withoutSomePrompts, emptyState, fold } from "#src/machine/sessions/work-state.ts";
import { T0 } from "#harness/store/temp-store.ts";

const user = (text: string): JournalEntry => ({ kind: "prompt", text });
const chat = (text: string): JournalEntry => ({ kind: "assistant", text });

function rows(entries: readonly JournalEntry[]): JournalRow[] {
  return entries.map((entry, index) => ({ seq: index + 1, at: T0 + index, entry }));
}

function after(...entries: JournalEntry[]): WorkState {
  return fold(emptyState, rows(entries));
}

function texts({ prompts }: WorkState): string[] {
  return prompts.map(({ text }) => text);
}

const long = "Paint it green, and the mast too, but leave the rudder as it is for now please.";
const job = (index: number): string => `paint boat ${index}`;

it("prompts are kept with their time; commands of the client are none; those of others are, and /compact and /plan with arguments", () => {
  const given = [
    "/init",
    "fix it",
    "/compact keep the names",
    "/deploy the harbour office",
    "/model opus",
    "/plan a new dock",
    "/plan",
    "/harbour:review",
    "/shim:save",
    "and test it",
  ];
  const state = after(...given.map(user));
  expect(texts(state)).toEqual([
    "fix it",
    "/compact keep the names",
    "/deploy the harbour office",
    "/plan a new dock",
    "/harbour:review",
    "and test it",
  ]);
  expect(state.prompts[0]).toEqual({ text: "fix it", at: T0 + 1 });
  expect(texts(after(user("/home/ann/a.ts is broken")))).toEqual(["/home/ann/a.ts is broken"]);
});

it("/goal sets the client's goal and clears it; it is no prompt", () => {
  const set = after(user("/goal all doors   are white"));
  expect(set).toMatchObject({ clientGoal: { text: "all doors are white", at: T0 }, prompts: [] });
  expect(after(user("/goal all doors are white"), user("/goal clear")).clientGoal).toBeNull();
});

it("a queued prompt that is read late stands at its own time", () => {
  const late = [
    { seq: 1, at: T0, entry: user("paint the hull of the boat") },
    { seq: 2, at: T0 + 9, entry: user("then paint the mast of the boat") },
    { seq: 3, at: T0 + 5, entry: user("use the blue paint for all of it") },
  ];
  expect(texts(fold(emptyState, late))[1]).toBe("use the blue paint for all of it");
});

it("a short prompt stands with the end of the words that it answers; a long one and one that follows no words do not", () => {
  const question = chat(`${"I looked at the dock. ".repeat(30)}Shall I paint the hull blue or green?`);
  const { prompts } = after(user("blue"), question, user("green"), user(long));
  expect(prompts.map(({ answers }) => answers?.slice(-37))).toEqual([
    undefined,
    "Shall I paint the hull blue or green?",
    undefined,
  ]);
  expect(prompts[1]?.answers?.length).toBeLessThanOrEqual(200);
});

it("the words that a prompt answers are those before it in time", () => {
  const state = fold(emptyState, [
    { seq: 1, at: T0, entry: chat("Blue or green?") },
    { seq: 2, at: T0 + 5, entry: chat("I took green.") },
    { seq: 3, at: T0 + 2, entry: user("green") },
  ]);
  expect(state.prompts[0]?.answers).toBe("Blue or green?");
});

const answer = (name: string): string =>
  `The ${name} is done. ${"I looked at each plank of it. ".repeat(60)}The ${name} floats.`;
const found = (index: number): string => `Leak ${index}. ${"It is below the water line. ".repeat(20)}`;

it("the last words before each of the newest three prompts are kept whole; a prompt without words between adds none", () => {
  const state = after(
    ...["mast", "bow", "keel", "stern"].flatMap((name) => [user(job(1)), chat("I begin."), chat(answer(name))]),
    user("and now the oars"),
    user("both of them"),
  );
  expect(state.earlierWords.map(({ text }) => text)).toEqual(["bow", "keel", "stern"].map(answer));
});

it("the first three longer texts since the newest prompt are kept, however many follow", () => {
  const texts = Array.from({ length: 20 }, (_, index) => [chat("I look."), chat(found(index))]).flat();
  const { firstWords } = after(user("find the leaks"), chat(found(99)), user("and again"), ...texts);
  expect(firstWords.map(({ text }) => text.slice(0, 7))).toEqual(["Leak 0.", "Leak 1.", "Leak 2."]);
  expect(firstWords.every(({ text }) => text.length <= 300)).toBe(true);
  expect(after(...texts, user("stop")).firstWords).toEqual([]);
});

const longJob = (index: number): string =>
  `Job ${index}. ${"Row the boat to the far pier. ".repeat(100)}Never sink it.`;

it("the first prompt and the newest six are whole, older ones are shortened and say how long they were", () => {
  const state = after(...Array.from({ length: 10 }, (_, index) => user(longJob(index))));
  expect(state.prompts.map(({ text, chars }, index) => text === longJob(index) && chars === undefined)).toEqual(
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((index) => index === 0 || index > 3),
  );
  for (const [index, { text, chars }] of state.prompts.entries()) {
    if (index === 0 || index > 3) continue;
    expect(text).toMatch(new RegExp(`^Job ${index}\\..* … .*Never sink it\\.$`));
    expect([text.length <= 1_000, chars]).toEqual([true, longJob(index).length]);
  }
});

it("a prompt that was cut before it was stored says how long it was", () => {
  const [prompt] = after(user("Begin here.\n[cut, 5000 more characters]\nEnd there.")).prompts;
  expect(prompt?.chars).toBe(prompt === undefined ? 0 : prompt.text.length + 5_000);
});

it("of more than 300 prompts the oldest nods go first, then the oldest after the first; they are counted", () => {
  const nods = Array.from({ length: 40 }, () => user("go ahead"));
  const jobs = Array.from({ length: 300 }, (_, index) => user(job(index)));
  const state = after(user("refit the fleet"), ...nods, ...jobs);
  expect([state.prompts.length, state.droppedPrompts]).toEqual([300, 41]);
  expect(texts(state)).toEqual(["refit the fleet", ...Array.from({ length: 299 }, (_, index) => job(index + 1))]);
});

it("however long and many prompts are, the first, the newest six and at most 60,000 characters stay", () => {
  const text = fc.oneof(
    fc.constantFrom("yes", "go on"),
    fc.integer({ min: 10, max: 12_000 }).map((n) => "x".repeat(n)),
  );
  fc.assert(
    fc.property(fc.array(text, { minLength: 8, maxLength: 150 }), (given) => {
      const state = after(...given.map(user));
      const kept = texts(state);
      expect(kept.length + state.droppedPrompts).toBe(given.length);
      expect(kept[0]).toBe(given[0]);
      expect(kept.slice(-6)).toEqual(given.slice(-6));
      const between = kept.slice(1, -6).join("").length;
      if (between > 0) expect(kept.join("").length).toBeLessThanOrEqual(60_000);
      expect(state.prompts.map(({ at }) => at)).toEqual(state.prompts.map(({ at }) => at).toSorted((a, b) => a - b));
    }),
    { numRuns: 60 },
  );
});

it("folding prompts and words in parts gives what folding at once gives", () => {
  const text = fc.constantFrom(
    "yes",
    "Blue or green?",
    "paint it ".repeat(300),
    "/compact the names",
    "/goal done",
    "no",
  );
  const entry = fc.oneof(text.map(user), text.map(chat));
  const row = fc.record({ entry, at: fc.nat(50) });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 40 }), fc.nat(40), (given, cut) => {
      const all = given.map(({ entry: one, at }, index) => ({ seq: index + 1, at, entry: one }));
      const stored = JSON.parse(JSON.stringify(fold(emptyState, all.slice(0, cut)))) as WorkState;
      expect(fold(stored, all.slice(cut))).toEqual(fold(emptyState, all));
    }),
  );
});

it("fit a checkpoint a quarter of the prompts goes, never the first or the newest six", () => {
  let state: WorkState | null = after(...Array.from({ length: 60 }, (_, index) => user(`paint boat ${index}`)));
  let smallest = state;
  while (state !== null) {
    smallest = state;
    expect([texts(state)[0], state.prompts.length + state.droppedPrompts]).toEqual(["paint boat 0", 60]);
    state = withoutSomePrompts(state);
  }
  expect(texts(smallest).slice(1)).toEqual([54, 55, 56, 57, 58, 59].map((index) => `paint boat ${index}`));
});

it("the last request is the newest prompt that is more than a nod", () => {
  const state = after(user("plan the wedding"), user("book the band"), user("weiter"));
  expect([firstPrompt(state), lastRequest(state)?.text]).toEqual(["plan the wedding", "book the band"]);
  expect(lastRequest(after(user("yes")))?.text).toBe("yes");
  expect([firstPrompt(emptyState), lastRequest(emptyState)]).toEqual([null, null]);
});
