import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { supportedClients } from "#src/clients/adapters.ts";
import type { ClientAdapter } from "#src/clients/adapter/client-adapter.ts";
import type { Decision } from "#src/contract/machine/requests.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "guide", "phone.md"), "utf8");

/** Cells of the table that begins with this heading, row by row. */
function tableOf(heading: string): string[][] {
  const [, text = ""] = page.split(`| ${heading}`, 2);
  const [table = ""] = `| ${heading}${text}`.split("\n\n", 1);
  const rows = table.split("\n").map((line) => line.split("|").slice(1, -1));
  return rows.filter((_, at) => at !== 1).map((cells) => cells.map((cell) => cell.trim()));
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

function rowOf({ title, answers, continuesAtStop }: ClientAdapter): string[] {
  const when = { "beside-hook": "beside its dialog", "after-hook": "before its dialog" };
  return [
    title,
    cellOf(answers?.permission),
    cellOf(answers?.question),
    cellOf(answers?.plan),
    answers === undefined ? "-" : when[answers.dialog],
    continuesAtStop === true ? "at the end of a turn" : "with the next prompt",
  ];
}

it("the table of what each client takes from a phone is what its adapter declares", () => {
  const [, ...rows] = tableOf("client");
  expect(rows).toEqual(supportedClients.map(rowOf));
});
