import { expect, it } from "vitest";
import { requestKind } from "#src/local-mcp/sessions/request-kind.ts";
import { decisionsOfUser } from "#src/local-mcp/words/decision.ts";
import { findNextStep } from "#src/local-mcp/words/next-step.ts";
import { ordersIn } from "#src/local-mcp/words/orders.ts";

it.each([
  ["House rules:\n- oil before varnish\n- two coats", ["oil before varnish", "two coats"]],
  ["**Ground rules:**\n1. birch\n\n2. brass screws", ["birch", "brass screws"]],
  ["Regeln für die Werkstatt:\n* Birke\n* Leim", ["Birke", "Leim"]],
  ["Don't paint these:\n- the lid\n- the hinge", ["Don't paint these: the lid; the hinge"]],
])("[CP66] the items below a heading of rules are rules: %j", (prompt, orders) => {
  expect(ordersIn(prompt)).toEqual(orders);
  expect(decisionsOfUser(prompt)).toEqual([]);
  expect(requestKind(prompt, { isGoalReached: true })).toBe("rule");
});

it("[CP66] the items below a heading of decisions are decisions, and no goal", () => {
  const prompt = "What we agreed on today:\n- lid: birch\n- build starts on Monday";
  expect(decisionsOfUser(prompt)).toEqual(["lid: birch", "build starts on Monday"]);
  expect(requestKind(prompt, { isGoalReached: true })).toBe("rule");
  expect(decisionsOfUser("Open decisions:\n- colour of the lid\n- length of the legs")).toEqual([]);
});

it("[CP66] a request beside such a list stays the goal, and another list settles nothing", () => {
  const prompt = "Build a drawer for the table.\nRules:\n- birch\n- brass screws";
  expect(ordersIn(prompt)).toEqual(["birch", "brass screws"]);
  expect(requestKind(prompt, {})).toBeUndefined();
  const work = "Please build these:\n- a drawer\n- a shelf";
  expect(ordersIn(work)).toEqual([]);
  expect(requestKind(work, {})).toBeUndefined();
});

it.each([
  "it'd be great if the drawer could close by itself",
  "it would be really handy to have a second shelf",
  "Would be nice if the lid stayed open.",
])("[CP35] a wish is a request: %s", (prompt) => {
  expect(requestKind(prompt, {})).toBeUndefined();
});

it("[CP20] a complaint is no rule, and a thing with its number no request", () => {
  expect(ordersIn("Having to sand the lid after every coat drives me nuts.")).toEqual([]);
  expect(requestKind("It listens on the line, port 4711.", {})).not.toBeUndefined();
});

it.each([
  ["The lid fits. The hinge can follow now. I'll start with it.", "The hinge can follow now. I'll start with it."],
  [
    "Shall I add the knob? That would be the logical next step.",
    "Shall I add the knob? That would be the logical next step.",
  ],
  ["I left out the knob for now. Say so and I add it.", "I left out the knob for now. Say so and I add it."],
  ["Done:\n\n| Part | State |\n| --- | --- |\n| Lid | done |\n| Hinge | pending |", "Hinge (pending)"],
  ["| # | Part | State |\n|---|---|---|\n| 1 | Lid | ☐ |\n| 2 | Knob | in progress |", "Lid (☐); Knob (in progress)"],
])("[CP46] names what is open: %j", (message, step) => {
  expect(findNextStep(message)).toBe(step);
});

it("[CP46] a table whose rows are all done, or far above the end, names nothing", () => {
  const table = "| Part | State |\n| --- | --- |\n| Lid | %s |\n";
  expect(findNextStep(table.replace("%s", "done"))).toBeNull();
  expect(findNextStep(`${table.replace("%s", "pending")}${"\nIt is good.".repeat(8)}`)).toBeNull();
});
