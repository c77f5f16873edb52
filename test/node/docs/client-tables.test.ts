import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { supportedClients } from "#src/clients/adapters.ts";
import type { ClientAdapter } from "#src/clients/adapter/client-adapter.ts";
import type { Decision } from "#src/contract/machine/requests.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "guide", "phone.md"), "utf8");

/** Cells of the table of clients whose second column is this one, row by row, without its heading. */
function tableOf(column: string): string[][] {
  const lines = page.split("\n").map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const [, ...below] = lines.slice(lines.findIndex(([first, second]) => first === "client" && second === column));
  return below.slice(
    1,
    below.findIndex((cells) => cells.length === 0),
  );
}

const words: Readonly<Record<Decision, string>> = {
  allow: "yes",
  session: "for the session",
  answer: "choices, words",
  deny: "no with words",
};

function cellOf(decisions: readonly Decision[] = []): string {
  return decisions.map((one) => words[one]).join(", ") || "terminal alone";
}

function rowOf({ title, answers, continuesAtStop, window }: ClientAdapter): string[] {
  const when = { "beside-hook": "beside its dialog", "after-hook": "before its dialog" };
  const atWork = window?.prompt === undefined ? "with the next prompt" : "after its call";
  return [
    title,
    cellOf(answers?.permission),
    cellOf(answers?.question),
    cellOf(answers?.plan),
    answers === undefined ? "-" : when[answers.dialog],
    window?.prompt === undefined ? "with the next prompt" : "at once",
    continuesAtStop === true ? "at the end of its turn" : atWork,
    window?.stop === undefined ? "terminal alone" : window.stop === "hook" ? "with its next call" : "at once",
  ];
}

function asksOf({ variables }: ClientAdapter): string {
  return variables.attended === undefined ? "none: refused, as it is set" : "answered as above";
}

it("the tables of what a phone can do with each client are what its adapter declares", () => {
  expect(tableOf("permission")).toEqual(supportedClients.map(rowOf));
  expect(tableOf("start")).toEqual(supportedClients.map((one) => [one.title, "yes", "yes", "yes", asksOf(one)]));
});
