import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir, availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { aligned, partsOf as partsBeside } from "../scripts/page-table.ts";
import { isBench, type BenchName } from "./benches.ts";
import { figures, type Reading } from "./figure-table.ts";
import { CannotMeasureError, share } from "./measure.ts";

export interface Row extends Reading {
  /** Of the run that measured it. */
  readonly date: string;
}

/** By the id of the figure. */
export type Rows = Readonly<Record<string, Row>>;

/** @throws {Error} for a page without the markers */
function partsOf(page: string): ReturnType<typeof partsBeside> {
  return partsBeside(page, "figures", "npm run bench -- figures");
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

/** The page with these rows, and with those that it has of the other figures. */
export function withRows(page: string, measured: Rows, machine: string): string {
  const [before, , after] = partsOf(page);
  return `${before}\n${machine}\n\n${table({ ...rowsOn(page), ...measured })}\n\n${after}`;
}

/** Where and with what the newest figures were measured. */
function thisMachine(): string {
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

const page = "docs/benchmarks.md";
const today = new Date().toISOString().slice(0, 10);

/**
 * The figures of a bench, from its result. One that a small run has nothing of is left out; in a whole run it is a failure.
 *
 * @throws {CannotMeasureError} where none of them was measured
 */
export function readingsOf(bench: BenchName, result: object): Rows {
  const rows: Record<string, Row> = {};
  for (const [id, { read }] of Object.entries(figures).filter(([, one]) => one.bench === bench)) {
    const reading = read(result as never);
    if (!/NaN|Infinity|undefined/.test(`${reading.figure} ${reading.beside}`)) rows[id] = { ...reading, date: today };
    else {
      console.error(`nothing was measured of ${id}: ${reading.figure}, ${reading.beside}`);
      if (share === 1) process.exitCode = 1;
    }
  }
  if (Object.keys(rows).length === 0) throw new CannotMeasureError(`nothing was measured of ${bench}`);
  return rows;
}

/**
 * `npm run bench -- figures [names...]`: measures the named figures, or all, and writes them into the page. A figure that
 * was not measured keeps its row.
 */
export async function measureFigures(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      print: { type: "boolean", default: false },
      transcripts: { type: "string" },
      patches: { type: "string" },
      clones: { type: "string" },
    },
  });
  const unknown = positionals.filter((name) => !Object.hasOwn(figures, name));
  if (unknown.length > 0)
    throw new CannotMeasureError(`There is no figure ${unknown.join(", ")}, only ${Object.keys(figures).join(", ")}.`);
  const { transcripts, patches, clones } = values;
  const given: Partial<Record<BenchName, readonly (string | undefined)[]>> = {
    real: [transcripts],
    conflicts: [patches, clones],
  };
  const wanted = Object.keys(figures).filter((id) => positionals.length === 0 || positionals.includes(id));
  const measured: Record<string, Row> = {};
  for (const bench of new Set(wanted.map((id) => figures[id]?.bench ?? ""))) {
    if (!isBench(bench)) continue;
    const own = (given[bench] ?? []).filter((one) => one !== undefined);
    if (own.length < (given[bench]?.length ?? 0)) {
      console.error(`${bench}: not measured without --transcripts, or --patches and --clones`);
      continue;
    }
    console.error(`measuring ${bench} ...`);
    const result = await resultOf(bench, bench === "damaged" && transcripts ? [transcripts] : own);
    if (result === null) process.exitCode = 1;
    else Object.assign(measured, readingsOf(bench, result));
  }
  const rows = Object.fromEntries(Object.entries(measured).filter(([id]) => wanted.includes(id)));
  if (values.print || share < 1) return console.log(`${thisMachine()}\n\n${table(rows)}`);
  const text = readFileSync(page, "utf8");
  writeFileSync(page, withRows(text, rows, thisMachine()));
  console.log(`${page}: ${Object.keys(rows).length} of ${Object.keys(rowsOn(text)).length} figures`);
}

/** Of a bench in a process of its own, so that none stands on what another has left. Null: it failed, and has said why. */
async function resultOf(bench: BenchName, args: readonly string[]): Promise<object | null> {
  const file = join(mkdtempSync(join(tmpdir(), "result-")), "result.json");
  const child = spawn(process.execPath, ["bench/main.ts", bench, ...args], {
    env: { ...process.env, SHIM_BENCH_RESULT: file },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await once(child, "exit");
  return child.exitCode === 0 ? (JSON.parse(readFileSync(file, "utf8")) as object) : null;
}
