import type { JournalEntry } from "../../src/contract/journal.ts";
import { life, newLife } from "../../src/machine/sessions/life/life.ts";
import { isInTurn, standingOf } from "../../src/machine/sessions/life/questions.ts";

const call = { id: "a", name: "Bash", input: "make" };

/** Each kind of fact, a minute after the one before it. */
const facts: readonly (readonly [name: string, entry: JournalEntry])[] = [
  ["a prompt", { kind: "prompt", text: "go" }],
  ["words", { kind: "assistant", text: "I begin." }],
  ["a call begins", { kind: "tool_start", ...call }],
  ["the call ends", { kind: "tool_end", ...call }],
  ["asks for leave", { kind: "asks", for: "permission", call: "a" }],
  ["the user answers", { kind: "answered" }],
  ["the turn ends", { kind: "turn_end" }],
  ["the user interrupts", { kind: "interrupted" }],
  ["the client fails", { kind: "failure", text: "overloaded" }],
  ["the client is idle", { kind: "asks", for: "prompt" }],
  ["another client resumes", { kind: "start", source: "resume" }],
];

type Life = typeof newLife;

function nameOf(state: Life): string {
  return isInTurn(state) === true ? standingOf(state) : `${standingOf(state)} (in no turn)`;
}

/** Mermaid takes no blanks in the id of a state. */
function idOf(name: string): string {
  return name.replaceAll(/\W+/g, "_");
}

/** Follows the facts from a new chat, to each state that differs in what is shown of it. */
export function lifePage(): string {
  const known = new Map([[nameOf(newLife), newLife]]);
  const arrows: { readonly from: string; readonly to: string; readonly by: string }[] = [];
  // A map visits what is added while it is read.
  for (const [name, state] of known) {
    const next = new Map<string, string[]>();
    for (const [fact, entry] of facts) {
      const after = life(state, [{ at: 60_000 * (known.size + arrows.length + 1), seq: 1, entry }]);
      const to = nameOf(after);
      if (!known.has(to)) known.set(to, after);
      if (to !== name) next.set(to, [...(next.get(to) ?? []), fact]);
    }
    arrows.push(...[...next].map(([to, by]) => ({ from: name, to, by: by.join(", ") })));
  }
  return [
    "# Where a chat stands",
    "",
    "By `src/machine/sessions/life`: which fact leads from one state to another. Facts that are not named leave it as it is.",
    "",
    "| stands | what is seen | then stands |",
    "| --- | --- | --- |",
    ...arrows.map(({ from, to, by }) => `| ${from} | ${by} | ${to} |`),
    "",
    "```mermaid",
    "stateDiagram-v2",
    ...[...known.keys()].map((name) => `  state "${name}" as ${idOf(name)}`),
    ...arrows.map(({ from, to, by }) => `  ${idOf(from)} --> ${idOf(to)}: ${by}`),
    "```",
    "",
  ].join("\n");
}
