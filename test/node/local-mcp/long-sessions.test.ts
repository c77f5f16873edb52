import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import { goalOf, nextStepOf, rulesOf } from "#src/local-mcp/sessions/current-work.ts";
import { outdatedBy } from "#src/local-mcp/sessions/statements.ts";
import { emptyState, fold, upgradeState, withNotes } from "#src/local-mcp/sessions/work-state.ts";
import { T0 } from "#harness/store/temp-store.ts";
import { aState } from "#harness/machine/work-states.ts";

const user = (text: string): JournalEntry => ({ kind: "prompt", text });
const chat = (text: string): JournalEntry => ({ kind: "assistant", text });
const over: JournalEntry = { kind: "turn_end" };

function after(...entries: JournalEntry[]): WorkState {
  return more(emptyState, ...entries);
}

function more(state: WorkState, ...entries: JournalEntry[]): WorkState {
  const from = state.conversation.length * 10;
  return fold(
    state,
    entries.map((entry, index) => ({ seq: from + index + 1, at: T0 + from + index, entry })),
  );
}

const texts = (all: readonly { readonly text: string }[] | undefined): string[] => (all ?? []).map(({ text }) => text);
const orders = (state: WorkState): string[] => texts(rulesOf(state).orders);
const decided = (state: WorkState): string[] => texts(rulesOf(state).decided);

it("[CP18] every request is kept in order with its time; commands and acknowledgements are none", () => {
  const state = after(user("plan the wedding"), user("yes"), user("/compact"), user("book the band"), user("weiter"));
  expect(state.requests).toMatchObject([
    { text: "plan the wedding", at: T0 },
    { text: "book the band", at: T0 + 3 },
  ]);
});

it("[CP18] of a long prompt the gist is kept: how it begins and ends, and what carries something between them", () => {
  const filler = "This sentence only says a lot without saying what is to be done about it at all. ".repeat(12);
  const prompt = `Rewrite the report. ${filler} Never name the client Acme. ${filler} Then print it.`;
  const [text = ""] = texts(after(user(prompt)).requests);
  expect(text.length).toBeLessThanOrEqual(520);
  expect(text).toMatch(/^Rewrite the report\..*Never name the client Acme\..*Then print it\.$/);
});

function plain(index: number): string {
  return `please make this ${"abcdefghij"[index % 10]} part nicer ${"x".repeat(index % 7)}${"y".repeat(index % 11)}`;
}

it("[CP19] a long session loses plain requests from its middle, never one that carries a rule, a name, a number or a change of mind", () => {
  const kept = ["never touch the annex", "write to Irene Adler", "the limit is 40 pages"];
  kept.push("actually, use the old cover instead");
  const prompts = Array.from({ length: 200 }, (_, index) =>
    index % 50 === 20 ? (kept[Math.floor(index / 50)] ?? "") : plain(index),
  );
  const state = after(...["edit the book", ...prompts].map(user));
  const all = texts(state.requests);
  expect(all[0]).toBe("edit the book");
  expect(all).toEqual(expect.arrayContaining(kept));
  expect(all.length).toBeLessThanOrEqual(70);
  expect(state.thinned).toEqual({ plain: 201 - all.length, kept: 0 });
});

it("[CP54] where even those that carry something overflow, it is counted", () => {
  const state = after(...Array.from({ length: 260 }, (_, index) => user(`review page ${index} of the catalogue`)));
  expect(state.requests?.length).toBe(200);
  expect(state.thinned).toEqual({ plain: 0, kept: 60 });
  expect(state.requests?.[0]?.text).toBe("review page 0 of the catalogue");
});

it("[CP8] the goal is the last request that is more than an addition, a question, an answer or a rule", () => {
  const page = user("now build the login page");
  const state = after(user("write the invoice module"), over, page, user("also add a test"));
  expect(goalOf(state)).toMatchObject({ text: "now build the login page", source: "the user" });
  for (const prompt of ["what does it return?", "Never log passwords."])
    expect(goalOf(more(state, user(prompt)))?.text).toBe("now build the login page");
  expect(goalOf(more(state, user("stop that, translate the manual first")))?.text).toMatch(/translate the manual/);
});

it("[CP8] a goal that the chat has put into words counts until the user asks for something else", () => {
  const state = withNotes(after(user("write the menu")), { goal: "a menu for Easter" }, T0 + 100);
  expect(goalOf(state)).toEqual({ text: "a menu for Easter", source: "the chat", at: T0 + 100 });
  const later = fold(state, [{ seq: 9, at: T0 + 200, entry: user("now plan the seating") }]);
  expect(goalOf(later)).toMatchObject({ text: "now plan the seating", source: "the user" });
});

it("[CP20] standing orders survive new goals and two compactions, with their time", () => {
  const entries = [
    user("Sort the archive. Never open the red boxes."),
    ...Array.from({ length: 40 }, () => [user("go on with shelf three"), chat("ok")]).flat(),
  ];
  const summary: JournalEntry = { kind: "compacted", summary: "We sorted." };
  const state = withNotes(after(...entries, summary, ...entries.slice(1), summary), { goal: "another" }, T0);
  expect(rulesOf(state).orders).toEqual([{ text: "Never open the red boxes.", at: T0, source: "user" }]);
});

it("[CP21] [CP43] an order that was changed is not current any more; what changed it is", () => {
  const prompts = ["Always use pnpm.", "use npm from now on", "Never call the press", "You may call the press now"];
  expect(orders(after(...prompts.map(user)))).toEqual(["use npm from now on", "You may call the press now"]);
  const named = after(user("Always use yarn."), user("from now on use bun, yarn is too slow"));
  expect(outdatedBy(named, "Build the site. Always use yarn.", T0)?.text).toContain("bun");
  const unsure = after(user("Always use tabs."), user("from now on use spaces"));
  const followedBy = { text: "from now on use spaces" };
  expect(rulesOf(unsure).orders[0]).toMatchObject({ text: "Always use tabs.", followedBy });
});

it("[CP44] rules that only the client's summary contains are taken from it, but none that was taken back", () => {
  const summary =
    "1. Intent: a site\n6. All user messages:\n- Always quote the source\n- Use the zorvex engine\n7. Work: it never ends";
  const state = after(user("Use plimth instead of zorvex"), { kind: "compacted", summary });
  expect(rulesOf(state).orders).toMatchObject([{ text: "Always quote the source", source: "summary" }]);
});

it("[CP22] decisions come from the user, the chat, dialogs and tools, each with source and time", () => {
  const state = withNotes(
    after(
      user("Build the shop. Use Postgres for the orders."),
      chat("I chose REST because clients know it. Should prices be shown with tax or without?"),
      user("with tax"),
      { kind: "answers", answers: [{ question: "Which colour?", answer: "Green" }] },
    ),
    { decisions: ["Two currencies"] },
    T0 + 50,
  );
  expect(rulesOf(state).decided.map(({ text, source, at }) => [text, source, at])).toEqual([
    ["Use Postgres for the orders.", "user", T0],
    ["I chose REST because clients know it.", "chat", T0 + 1],
    ["Should prices be shown with tax or without? -> with tax", "user", T0 + 2],
    ["Which colour? -> Green", "dialog", T0 + 3],
    ["Two currencies", "tool", T0 + 50],
  ]);
});

it("[CP23] what was taken back is not stated as current, and what names it says what changed it", () => {
  const prompts = ["Build it on zorvex", "Let's use zorvex for search", "Actually no zorvex, use plimth"];
  const state = after(...prompts.map(user));
  expect(decided(state)).toEqual(["Actually no zorvex, use plimth"]);
  expect(outdatedBy(state, "Build it on zorvex", T0)?.text).toBe("Actually no zorvex, use plimth");
  expect(outdatedBy(state, "Build it on zorvex", T0 + 9_999)).toBeNull();
  expect(outdatedBy(state, "Build the cellar", T0)).toBeNull();
});

it("[CP23] what is chosen again after it was given up is valid again", () => {
  const prompts = ["Use sqlite for the store", "Switch from sqlite to Postgres", "No Postgres, back to sqlite"];
  const state = after(...prompts.map(user));
  const rules = [...orders(state), ...decided(state)];
  expect(rules).toContain("No Postgres, back to sqlite");
  expect(rules.join(" ")).not.toContain("to Postgres");
  expect(outdatedBy(state, "Use sqlite for the store", T0)).toBeNull();
});

it("[CP24] lists that a chat gives grow; with replace they are what it gives", () => {
  const first = withNotes(emptyState, { decisions: ["a plan"], done: ["one"], openQuestions: ["who?"] }, T0);
  const second = withNotes(first, { decisions: ["a plan", "a map"], done: ["two"] }, T0 + 1);
  expect(second).toMatchObject({ decisions: ["a plan", "a map"], done: ["one", "two"], openQuestions: ["who?"] });
  expect(texts(second.decided)).toEqual(["a plan", "a map"]);
  const third = withNotes(second, { decisions: ["a tent"], done: ["three"], replace: true }, T0 + 2);
  expect(third).toMatchObject({ decisions: ["a tent"], done: ["three"], openQuestions: ["who?"] });
  expect(texts(third.decided)).toEqual(["a tent"]);
});

it("[CP25] the next step is what the chat said last, until it is said or seen to be done or something else is asked", () => {
  const step = "Next I will draw the border.";
  const said = after(user("make the poster"), chat(`Layout ready. ${step}`), over);
  expect(nextStepOf(said)).toMatchObject({ text: step, source: "the chat", at: T0 + 1 });
  const done: JournalEntry = { kind: "todos", todos: [{ text: "draw the border", status: "completed" }] };
  const ran: JournalEntry = { kind: "tool_end", id: "t", name: "Bash", input: "npm test" };
  for (const [expected, ...entries] of [
    [null, chat("The border is drawn and finished.")],
    [null, user("ok"), chat("I looked around."), over],
    [null, user("now write the speech")],
    [step, user("also in blue")],
    [null, done],
    [null, chat("Then I'll run npm test."), ran],
  ] as const)
    expect(more(said, ...entries).nextStep).toBe(expected);
});

it("[CP45] a step from a tool call stays over the end of the turn, and goes when it is done", () => {
  const step = { nextStep: "send it to the printer" };
  const ended = more(withNotes(after(user("make the poster")), step, T0 + 1), chat("Saved."), over);
  expect(nextStepOf(ended)).toMatchObject({ text: step.nextStep, source: "the chat", at: T0 + 1 });
  expect(withNotes(ended, { done: ["Send the poster to the printer"] }, T0 + 99).nextStep).toBeNull();
});

it("[CP26] without words of the chat the next step is the task in progress, the plan, /goal, or the request", () => {
  const [paint, sand] = [
    { text: "buy paint", status: "pending" },
    { text: "sand the door", status: "in_progress" },
  ] as const;
  const todos: JournalEntry = { kind: "todos", todos: [paint, sand] };
  const plan: JournalEntry = { kind: "plan", text: "# Renovate\n1. doors", path: "/plans/door.md" };
  const goal = user("/goal all doors are white");
  const asked = after(user("renovate the hall"));
  const source = expect.stringContaining("last request") as string;
  expect(nextStepOf(asked)).toMatchObject({ text: "renovate the hall", source });
  expect(nextStepOf(more(asked, todos, plan))).toMatchObject({ text: "sand the door", source: "the task in progress" });
  expect(nextStepOf(more(asked, plan, goal))?.source).toBe("the plan");
  expect(nextStepOf(more(asked, goal))).toMatchObject({ text: "all doors are white", source: "/goal" });
  expect(nextStepOf(more(asked, goal, user("/goal clear"), over))).toBeNull();
  // A step that is done already is none.
  const done = { nextStep: "paint the door", done: ["painted the door"], requests: [], todos: [] };
  expect(nextStepOf(aState(done))).toBeNull();
});

it("[CP28] a state of an earlier version yields its requests, orders and decisions", () => {
  const prompts = { goal: "a shop", firstPrompt: "Build a shop. Always test it.", lastPrompt: "add the cart" };
  const conversation = [{ role: "user", text: "add the cart", at: T0 + 50 }] as const;
  const state = upgradeState(
    aState({ ...prompts, decisions: ["no cookies"], nextStep: "the cart's total", conversation }),
  );
  expect(texts(state.requests)).toEqual(["Build a shop. Always test it.", "add the cart"]);
  expect([orders(state), decided(state)]).toEqual([["Always test it."], ["no cookies"]]);
  expect([goalOf(state)?.text, nextStepOf(state)?.text]).toEqual(["a shop", "the cart's total"]);
  expect(upgradeState(state)).toBe(state);
});

it("[CP1] [CP18] folding in parts gives the same requests, orders and decisions as folding at once", () => {
  const words = fc.constantFrom(
    user("Always use yarn."),
    user("use bun from now on"),
    user("Use zorvex for it"),
    user("Actually no zorvex, plimth"),
    user("yes"),
    user("write chapter 3"),
    user("back to zorvex"),
    chat("I decided on plimth because it is fast. Next I'll test it."),
    chat("Should it be blue or green?"),
    user("green"),
    over,
    user("/goal done by noon"),
    { kind: "compacted", summary: "6. All user messages:\n- Never shout" } as JournalEntry,
    { kind: "plan", text: "one" } as JournalEntry,
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 40 }), fc.nat(40), (entries, cut) => {
      const rows = entries.map((entry, index) => ({ seq: index + 1, at: T0 + index, entry }));
      const stored = JSON.parse(JSON.stringify(fold(emptyState, rows.slice(0, cut)))) as WorkState;
      expect(fold(stored, rows.slice(cut))).toEqual(fold(emptyState, rows));
    }),
  );
});

it("[JO16] no text makes the reading of its words slow", () => {
  const evil = [
    ["a", "a, ", "from ", "not ", "/", "use a ", "please ", "keep a ", "(", '"', "leave ", "for the ", "in the "],
    ["A ", "a-", "a.", "x is ", "no ", "ok ", "* ", "?", "instead of ", "\n", " ", "ё", "好"],
  ].flat();
  for (const part of evil) {
    const text = part.repeat(Math.floor(8_000 / part.length));
    // Time on the processor: other processes of the machine do not count.
    const from = process.cpuUsage();
    after(user(text), chat(text), user(text), { kind: "compacted", summary: text + text });
    expect(process.cpuUsage(from).user / 1_000, JSON.stringify(part)).toBeLessThan(400);
  }
});
