/** The committed project. Its `npm test` would fail: cents do not add up in binary fractions. */
export const project: Readonly<Record<string, string>> = {
  "price.mjs": `export function total(prices) {
  return prices.reduce((sum, price) => sum + price, 0);
}
`,
  "migrate.mjs": `// Takes a minute, as migrations do.
setTimeout(() => {}, 60_000);
`,
  "README.md": "# Till\n\nAdds up prices.\n",
};

export const test = `import assert from "node:assert/strict";
import { test } from "node:test";
import { total } from "./price.mjs";

test("ten cents and twenty cents are thirty cents", () => {
  assert.equal(total([0.1, 0.2]), 0.3);
});
`;

export const edits = {
  price: `export function total(prices) {
  return prices.reduce((sum, price) => sum + Math.round(price * 100), 0);
}
`,
  readme: "# Till\n\nAdds up prices, in cents.\n",
  currency: "EUR\n",
  later: "// Edited after the chat died.\n",
};

export const firstPrompt = "Make total() count in cents, with a test.";
export const lastPrompt = "Also say in the README that prices are in cents, then run the migration.";

export const notes = {
  goal: "total() counts in whole cents, and a test proves it",
  done: ["Rounded every price to cents in price.mjs"],
  decisions: ["Whole cents instead of a decimal library: no dependency"],
};
export const doing = "Migrating the stored prices to cents";
export const nextStep = "Divide by 100 where the till prints, then run the test again";
export const firstAnswer = "The test fails: total() answers 30 and not 0.3.";

export const todos = [
  { content: "Round prices to cents", status: "completed" },
  { content: "Migrate stored prices", status: "in_progress" },
  { content: "Print the sum with two decimals", status: "pending" },
];

export const slowCommand = "node migrate.mjs";

export interface Expected {
  readonly what: string;
  readonly texts: readonly string[];
}

export function expectedBrief(): Expected[] {
  return [
    { what: "goal", texts: ["- goal (", `: ${notes.goal}`] },
    { what: "last prompt", texts: [` ago: ${lastPrompt}`] },
    { what: "done", texts: ["- done (", ...notes.done] },
    { what: "in progress", texts: ["- in progress (", doing] },
    { what: "next step", texts: ["- next step (", nextStep] },
    { what: "to do", texts: [`- in progress: ${todos[1]?.content}`, `- ${todos[2]?.content}`] },
    { what: "decisions", texts: ["- decisions (", ...notes.decisions] },
    { what: "running tool", texts: [`in mid-turn, running Bash ${slowCommand} (begun `] },
    { what: "failed call", texts: ["- Bash node --test FAILED: "] },
    { what: "the chat's words", texts: [firstAnswer] },
    { what: "why it died", texts: ["why it died: killed ("] },
    { what: "changed file", texts: ["- price.mjs (edited): CHANGED since the checkpoint"] },
    { what: "missing file", texts: ["- currency.txt (created): MISSING"] },
    { what: "same file", texts: ["- README.md (edited): unchanged since the checkpoint"] },
    { what: "git branch", texts: ["git: main at ", ", the same commit now"] },
  ];
}
