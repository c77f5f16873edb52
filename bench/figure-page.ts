import { availableParallelism } from "node:os";
import { readFileSync } from "node:fs";
import { figures, type Reading } from "./figure-table.ts";

export interface Row extends Reading {
  /** Of the run that measured it. */
  readonly date: string;
}

/** By the id of the figure. */
export type Rows = Readonly<Record<string, Row>>;

const begin = "<!-- figures: written by `npm run bench -- figures` -->";
const end = "<!-- /figures -->";

/** @throws {Error} for a page without the markers */
function partsOf(page: string): readonly [before: string, between: string, after: string] {
  const [before, rest] = page.split(`${begin}\n`);
  const [between, after] = rest?.split(end) ?? [];
  if (before === undefined || between === undefined || after === undefined)
    throw new Error("docs/benchmarks.md has not the two markers of its table.");
  return [before, between, after];
}

/** What was measured, as the page has it. */
export function rowsOn(page: string): Rows {
  const rows = partsOf(page)[1].split("\n").map(cellsOf);
  return Object.fromEntries(
    rows.flatMap(([id = "", , figure = "", , , beside = "", , date = ""]) =>
      Object.hasOwn(figures, id) ? [[id, { figure, beside, date }]] : [],
    ),
  );
}

function cellsOf(line: string): string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** The rows of these figures, in the order of their declaration. Only what was measured differs from run to run. */
export function table(rows: Rows): string {
  const lines = Object.entries(figures).flatMap(([id, { text, bench, given, goal, isMet }]) => {
    const row = rows[id];
    if (row === undefined) return [];
    const met = isMet(row.figure);
    const verdict = met === null ? "" : met ? "MET" : "**MISSED**";
    const command = `\`${[bench, given].filter(Boolean).join(" ")}\``;
    return [[id, text, row.figure, goal, verdict, row.beside, command, row.date]];
  });
  const head = ["figure", "what", "measured", "goal", "", "beside, in the same run", "`npm run bench --`", "date"];
  return aligned([head, ...lines]);
}

/** As the formatter of this repository aligns it. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(3, ...rows.map((cells) => cells[at]?.length ?? 0)));
  const lines = rows.map((cells) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

/** The page with these rows, and with those that it has of the other figures. */
export function withRows(page: string, measured: Rows, machine: string): string {
  const [before, , after] = partsOf(page);
  return `${before}${begin}\n\n${machine}\n\n${table({ ...rowsOn(page), ...measured })}\n\n${end}${after}`;
}

/** Where and with what the newest figures were measured. */
export function thisMachine(): string {
  const system = `${process.platform} ${process.arch}, ${availableParallelism()} processors`;
  const { node } = process.versions;
  const packages = ["better-sqlite3", "miniflare", "bullmq", "redlock"].map(
    (name) => `${name} ${versionIn(`node_modules/${name}/package.json`)}`,
  );
  return [system, `Node ${node}`, `SHIM ${versionIn("package.json")}`, ...packages].join(", ");
}

function versionIn(path: string): string {
  return (JSON.parse(readFileSync(path, "utf8")) as { readonly version: string }).version;
}
