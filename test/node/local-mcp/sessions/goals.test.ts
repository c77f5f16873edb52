import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import { goalReached, goalRequestBefore } from "#src/local-mcp/sessions/goal-state.ts";
import { goalOf as currentGoal } from "#src/local-mcp/sessions/current-work.ts";
import { lastGoalRequest } from "#src/local-mcp/sessions/requests.ts";
import { emptyState, fold } from "#src/local-mcp/sessions/work-state.ts";

import { anotherClaude, aChat, stateOf } from "#harness/machine/claude.ts";

const noise = [
  "The second tab shows what the kiln did that week.",
  "A neighbour noticed the smell in the afternoon.",
  "We saw nothing like it in spring.",
  "Some of the plates carry two marks.",
  "There was a new delivery of clay on that day.",
  "The first plate was moved at noon.",
];

function after(...entries: JournalEntry[]): WorkState {
  return entries.reduce((known, entry, index) => fold(known, [{ seq: index, at: index + 1, entry }]), emptyState);
}

function user(text: string): JournalEntry {
  return { kind: "prompt", text };
}

function chat(text: string): JournalEntry {
  return { kind: "assistant", text };
}

const goal = "Build a shelf for the kitchen";
const shelf = user(goal);

function goalOf({ requests = [] }: WorkState): string | undefined {
  return lastGoalRequest(requests)?.text;
}

function goalAfter(...prompts: string[]): string | undefined {
  return goalOf(after(...prompts.map(user)));
}

it.each(
  [
    ["The spoons should be made of birch.", "We take birch for the spoons now. Forget the maple."],
    ["Whatever happens, keep the lid closed.", "Leave the old boxes alone."],
    ["Forget the maple, the spoons will be birch.", "Make a plan first, please.", "How long does the glue need?"],
    ["Do we have a test of the glue?", "Can you show me the list?", "Tell me what is missing"],
    ["Nothing may touch the wall.", "About the spoons: birch.", "Let the spoons be birch then."],
    ["Bei den Löffeln setzen wir auf Birke.", "I tried it, and it is a bit wobbly", "FYI the wood comes on Friday"],
    ["still wobbly", "Add a handle to that as well", "I'd like the spoons to be birch.", "Undo your last change"],
    "I spoke with the joiner for an hour, and he had a long list of reasons that I did not follow in every detail. Bottom line, the table gets built with oak. He comes by on Tuesday.",
    [...noise, ...noise].join(" "),
  ].flat(),
)("[CP48] is no new goal: %s", (prompt) => {
  expect(goalAfter(goal, prompt)).toBe(goal);
});

it.each(
  [
    ["Please add a drawer to the table", "Can you write the letter to the landlord?"],
    ["Use the birch boards to build a bench, and paint it", "The drawer sticks when it rains; please fix that."],
    ["Drop the shelf, work on the chair", "Sand the table and oil it", "Varnish the whole lot of them"],
    ["I'd love to have a drawer in the table", "The drawer does not open since yesterday."],
    ["Nothing happens when I pull the drawer", "Now the drawer", "Enough of that. On to the chair: it has to fold."],
    ["Would love to see a drawer in the table", "Could the table show the time?"],
    ["New task. The chair has three legs, add one.", "We're going to build a bench out of the rest."],
    ["Write a letter to the carpenter, and never mention the price in it", "Replace the hinges by leather straps"],
    ["Take the old engine apart", "Do the inventory of the cellar"],
    ["Kannst du den Tisch so umbauen, dass er klappt?", "Il faudrait que la table soit plus haute."],
    ["La mesa se cae, corrígelo.", "椅子を作ってください。"],
    "What would it take to hang the shelf on hooks? Don't just describe it, go ahead and get it done.",
    "Don't just measure the shelf, build a new one from oak.",
    "The door no longer closes since we moved the shelf.",
  ].flat(),
)("[CP35] is a new goal: %s", (prompt) => {
  expect(goalAfter(goal, prompt)).toBe(prompt);
});

it("[CP48] [CP35] a short prompt that names what was settled is about that, else one thing for another is work", () => {
  const settled = "For the hinges we take brass.";
  for (const prompt of ["Replace brass by steel", "Brass breaks. Steel then.", "Zamień mosiądz: brass na steel"])
    expect(goalAfter("Build a shelf", settled, prompt)).toBe("Build a shelf");
  expect(goalAfter("Build a shelf", "Replace brass by steel")).toBe("Replace brass by steel");
  expect(goalAfter("Build a shelf", settled, "Polish the brass of the door")).toBe("Polish the brass of the door");
});

it("[CP49] unknown words are a new goal where the chat has said that the goal before is reached", () => {
  const bench = user("a bench for the garden");
  expect(goalOf(after(shelf, bench))).toBe(goal);
  const reached = after(shelf, chat("The shelf for the kitchen is built."), bench);
  expect(goalOf(reached)).toBe("a bench for the garden");
  expect(reached.requests?.map(({ kind }) => kind)).toEqual([undefined, undefined]);
});

it.each(["nice one", "splendid!", "great work there"])(
  "[CP48] a remark is no new goal, also where it is reached: %s",
  (text) => {
    expect(goalOf(after(shelf, chat("The shelf for the kitchen is built."), user(text)))).toBe(goal);
  },
);

it("[CP38] what the chat has said of a goal being done is known, for the last one and the one before", () => {
  const state = after(
    shelf,
    chat("I bought wood. The shelf for the kitchen is built."),
    user("Write a letter to the carpenter"),
    chat("Next I will write the letter to the carpenter."),
  );
  expect(goalReached(state)).toBeNull();
  const before = goalRequestBefore(state.requests ?? []);
  expect(before?.text).toBe(goal);
  expect(goalReached(state, before)).toBe("The shelf for the kitchen is built.");
  expect(goalRequestBefore(after(shelf).requests ?? [])).toBeNull();
});

/** The brief of a chat that has said these answers to these prompts, and died. */
function briefOf(...turns: [prompt: string, answer: string][]): string {
  const { runtime, claude } = aChat();
  claude.start();
  for (const [prompt, answer] of turns) claude.turn(prompt, answer);
  claude.prompt("go on");
  claude.begin("Bash", { command: "sleep 600" });
  claude.kill();
  runtime.wait(120_000);
  return anotherClaude(runtime, claude).start();
}

it("[CP38] a goal that is said to be done carries those words", () => {
  const brief = briefOf(["Build a shelf for the kitchen", "The shelf for the kitchen is built."]);
  expect(brief).toMatch(/goal: Build a shelf .* \[said to be done: The shelf for the kitchen is built\.\]/);
});

it("[CP38] the goal before is named where nothing says that it is done, and what was asked after the goal is apart from it", () => {
  const rest: [string, string][] = [
    ["Write a letter to the carpenter", "I began."],
    ["a bit friendlier", "Done."],
    ["with a stamp on it", "Done."],
  ];
  const open = briefOf([goal, "I bought wood."], ...rest);
  expect(open).toContain(`\nrequest that is perhaps still open: ${goal}`);
  expect(open).toMatch(/\nlater requests, newest last:\n- a bit friendlier/);
  expect(open).toContain("the goal, the one before perhaps open");
  expect(briefOf([goal, "The shelf for the kitchen is done."], ...rest)).not.toContain("perhaps");
});

it("[CP47] where no next step is known the brief quotes the last words of the last whole turn", () => {
  const step = "\nnext step: not stated";
  const words = "; the chat's last words: A second coat of oil, then.";
  expect(briefOf(["Build a shelf", "Wood is here. A second coat of oil, then."])).toContain(step + words);
  expect(briefOf(["Build a shelf", "The shelf is done."])).toContain(`${step}\n`);
});

it("[CP47] beside a next step from the tasks the brief quotes the last words too", () => {
  const { runtime, claude } = aChat();
  claude.prompt("Build a shelf");
  claude.use("TodoWrite", { todos: [{ content: "sand the boards", status: "in_progress" }] });
  claude.stop("Wood is here. A second coat of oil, then.");
  claude.kill();
  expect(anotherClaude(runtime, claude).start()).toMatch(
    /\nnext step: sand the boards \(the task in progress, .*; the chat's last words: A second coat of oil, then\./,
  );
});

it("[CP43] a decision is shown with the short prompt that names it last, the nearer one where there are two", () => {
  const state = after(
    user("Build a table"),
    user("Let us take oak for the table."),
    user("Bad news on oak: too dear for the table"),
    user("The council prefers thick planks for a table"),
  );
  expect(state.decided?.[0]).toMatchObject({
    text: "Let us take oak for the table.",
    followedBy: { text: "Bad news on oak: too dear for the table" },
  });
});

it.each([
  [
    "Between the two, oak wins for the table because our joiner has it.",
    "Sad: oak is sold out, so beech becomes the table.",
  ],
  [
    "Decided at noon:\n- the table will be done in oak\n- two coats",
    "Beech it has to be for the table, oak does not survive.",
  ],
  ["手入れが楽なので、table は oak を採用します。", "oak だと table が高すぎるので、beech に切り替えてください。"],
])("[CP43] two words of a decision in a short prompt are enough: %j, later %j", (decision, later) => {
  const state = after(user("Build a table"), user(decision), user(later));
  const oak = state.decided?.find(({ text }) => text.includes("oak"));
  expect(oak?.followedBy?.text ?? oak?.takenBack?.text).toBe(later);
});

it("[CP43] a request that holds a decision is shown with what was said later of it", () => {
  const brief = briefOf(
    ["Build a table", "On it."],
    ["Decided at noon:\n- the table will be done in oak\n- two coats", "Noted."],
    ["Beech it has to be for the table, oak does not survive.", "Noted."],
    ["Also sand the legs", "Sanded."],
  );
  expect(brief).not.toContain("\n- Decided at noon: (");
  for (const line of brief.split("\n").filter((one) => one.includes("done in oak")))
    expect(line).toMatch(/(?:said|changed) later: Beech it has to be/);
});

const ask = "Find out why job 140 is taken twice and fix it. Never restart the queue while you do that.";
const log = Array.from({ length: 300 }, (_, line) => `2031-02-03T04:05:06Z INFO worker ${line} took job ${line * 7}`);
const trace = ["Error: you must set FOO", "    at load (/a/b.js:1:2)", "    at main (node:internal/main:3:4)"];
const diagnostics = [
  "$ make all",
  "src/a.ts:3:5 - error TS2322: no",
  "npm ERR! Use --force to proceed",
  "make: *** [all] 2",
];
const source = ["function take(job) {", "  const left = job.size;", "  // never use this", "  return left;", "}"];
const quoted = ["> Please rebuild the shop", "> and delete the cellar"];

it.each([
  ["a log", log, "Here is the log of the failed night run:\n"],
  ["a short log", log.slice(0, 20), ""],
  ["a fenced log", ["```", ...log, "```"], ""],
  ["a stack trace", trace, "This is what it prints:\n"],
  ["output", diagnostics, ""],
  ["code", source, ""],
  ["fenced code", ["```js", ...source, "```"], ""],
  ["a quotation", quoted, "A customer wrote:\n"],
])("[CP64] the request below %s is the goal, and its rule an order", (_, pasted, announced) => {
  const claude = aChat();
  claude.claude.prompt(`${announced}${pasted.join("\n")}\n${ask}`);
  const state = stateOf(claude.runtime, claude.claude.session) ?? emptyState;
  expect(goalOf(state)).toMatch(new RegExp(`^${ask}`));
  expect(goalOf(state)).toContain(" … [pasted");
  expect((state.orders ?? []).map(({ text }) => text)).toEqual(["Never restart the queue while you do that."]);
});

it("[CP64] a request that was cut says how much is missing; its completion is seen all the same", () => {
  const state = after(
    user(`Paint the shelf blue.\n${"It is so. ".repeat(40)}\n[cut, 700 more characters]\nThen call me.`),
  );
  expect(goalOf(state)).toMatch(/^Paint the shelf blue\..*Then call me\. … \[cut, 700 more characters\]$/);
  expect(
    goalReached(after(user(`\`\`\`\nx\n\`\`\`\n${goal}`), chat("The shelf for the kitchen is built."))),
  ).not.toBeNull();
});

it("[CP64] where nothing asks, what was pasted is all there is", () => {
  expect(goalAfter("```\nx = 1\n```")).toBe("[code]");
  expect(goalAfter("Fix this: ```\nx = 1\n```")).toBe("Fix this: [code]");
});

it.each(
  [
    ["Jetzt bitte den Deckel", "Als Nächstes die Griffe für den Schrank", "Maintenant la porte", "Ahora la puerta"],
    ["Now the hinge, please", "next: a knob for the drawer", "Adesso il cassetto"],
  ].flat(),
)("[CP35] a word of order and the name of a thing is a request: %s", (prompt) => {
  expect(goalAfter(goal, prompt)).toBe(prompt);
});

it.each([
  "makes sense",
  "crystal clear",
  "tusen takk",
  "no worries",
  "great, merge now",
  "yes continue with the next one",
])("[CP49] words that name nothing never change the goal: %s", (prompt) => {
  const state = after(shelf, chat("The shelf for the kitchen is built."), user(prompt));
  expect(goalOf(state)).toBe(goal);
  expect(state.decided ?? []).toEqual([]);
});

const long = "We looked at it with the whole family this morning, and it took us a good while to get through it all. ";

it.each([
  ["Use Redis for the cache.", "Remove Redis again."],
  ["Use Redis for the cache.", `${long}${long}In the end Redis is too dear. Build a drawer.`],
  ["Use Redis for the cache.", "Kick Redis out, and add a drawer to the table."],
  ["We use Postgres as the database.", "The boss wants MySQL."],
  ["The invoices should be sent as PDF.", "Skip the PDF, plain paper will do."],
  ["Always indent with tabs.", "spaces are fine now"],
  ["Never touch the hinges.", "Paint the hinges of the door, and oil them."],
  ["Wir nehmen Eiche für den Tisch.", "Eiche fliegt raus."],
])("[CP59] what was settled is never shown without what may take it back: %s | %s", (settled, later) => {
  const { orders = [], decided = [] } = after(shelf, user(settled), chat("Ok."), user(later));
  const one = [...orders, ...decided].find(({ text }) => text === settled);
  expect(one?.takenBack ?? one?.followedBy).toBeDefined();
});

it("[CP59] a bare value corrects the newest decision that has one, and the chat its own choice", () => {
  const corrected = after(shelf, chat("How many screws?"), user("500, and long ones"), chat("Ok."), user("Rather 200"));
  expect(corrected.decided?.[0]?.followedBy?.text).toBe("Rather 200");
  const words = "Walnut could not hold the screws, so I moved everything to birch.";
  const own = after(shelf, chat("I decided on walnut because it is strong."), user("paint it"), chat(words));
  const walnut = own.decided?.find(({ text }) => text.includes("walnut because"));
  expect((walnut?.takenBack ?? walnut?.followedBy)?.text).toBe(words);
});

it("[CP59] a sentence about something else leaves a decision alone", () => {
  for (const later of [
    "Remove the old paint again.",
    "My boss wants the report sorted.",
    "You can oil the door now.",
  ]) {
    const { orders = [], decided = [] } = after(
      shelf,
      user("Use Redis for the cache."),
      user("Never touch glass."),
      user(later),
    );
    expect([...orders, ...decided].filter((one) => one.takenBack ?? one.followedBy)).toEqual([]);
  }
});

it("[CP62] the arguments of the user's own command are a request with its rules, those of the client's are not", () => {
  const command = "/feature Build a drawer for the table; never use more than 500 screws";
  const state = after(shelf, user(command), user("/model opus large"), user("/compact keep the drawer"));
  expect(goalOf(state)).toBe(command);
  expect(state.orders?.[0]?.text).toContain("never use more than 500 screws");
  expect(after(user("/feature")).requests ?? []).toEqual([]);
});

it("[CP62] the condition of /goal is the goal where no request follows it", () => {
  const condition = user("/goal all doors are white");
  expect(currentGoal(after(condition))).toMatchObject({ text: "all doors are white", source: "/goal" });
  expect(currentGoal(after(condition, shelf))).toMatchObject({ text: goal });
});
