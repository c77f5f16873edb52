import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { aligned, partsOf as partsBeside } from "../scripts/page-table.ts";
import { isBench, type BenchName } from "./benches.ts";
import { figures, numberOf, type Reading } from "./figure-table.ts";
import { CannotMeasureError, range, share } from "./measure.ts";
import { mostOthers, otherLoad, processTimes, type OtherLoad } from "./other-load.ts";

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

/** Each figure as the run with its median has it, all beside it of that run, and the range of the runs. */
export function medians(runs: readonly Rows[]): Rows {
  const ids = new Set(runs.flatMap((rows) => Object.keys(rows)));
  return Object.fromEntries(
    [...ids].flatMap((id) => {
      const rows = runs.flatMap((run) => run[id] ?? []).toSorted((a, b) => numberOf(a.figure) - numberOf(b.figure));
      const [first, median, last] = [rows[0], rows[(rows.length - 1) >> 1], rows.at(-1)];
      if (first === undefined || median === undefined || last === undefined) return [];
      const spread = first.figure === last.figure ? "" : `; ${rows.length} runs ${first.figure} to ${last.figure}`;
      return [[id, { ...median, beside: `${median.beside}${spread}` }]];
    }),
  );
}

/** Of each bench in a whole measurement. */
const runs = share < 1 ? 1 : 3;
/** How long the machine is watched before a run, in ms. */
const watchMs = 2_000;

/** @returns the readings of all runs; null: the bench failed, or the machine had other work, and both were said */
async function quietRuns(bench: BenchName, args: readonly string[], isWritten: boolean): Promise<Rows | null> {
  const readings: Rows[] = [];
  for (const run of range(runs, (n) => n + 1)) {
    console.error(`measuring ${bench}, ${run} of ${runs} ...`);
    const before = await loadWhile(() => pause(watchMs));
    if (isBusy(bench, "before", before) && isWritten) return null;
    let result: object | null = null;
    const during = await loadWhile(async () => (result = await resultOf(bench, args)));
    if (result === null) return null;
    if (isBusy(bench, "during", during) && isWritten) return null;
    readings.push(readingsOf(bench, result));
  }
  return medians(readings);
}

async function loadWhile(work: () => Promise<unknown>): Promise<OtherLoad> {
  const [mark, begin] = [tmpdir(), performance.now()];
  const before = processTimes(mark);
  await work();
  return otherLoad(before, processTimes(mark), process.pid, performance.now() - begin);
}

function isBusy(bench: BenchName, when: string, { share: others, most }: OtherLoad): boolean {
  if (others <= mostOthers) return false;
  const load = loadavg().map((one) => one.toFixed(2));
  console.error(
    `${bench}: other processes used ${others.toFixed(2)} of a processor ${when} the run, ${most} (at most ${mostOthers}); load ${load.join(" ")}`,
  );
  return true;
}

/**
 * `npm run bench -- figures [names...]`: measures the named figures, or all, three times each, and writes their medians into
 * the page. A figure that was not measured, or beside other work of the machine, keeps its row.
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
  const givenTo: Partial<Record<BenchName, readonly (string | undefined)[]>> = {
    real: [transcripts],
    conflicts: [patches, clones],
  };
  const wanted = Object.keys(figures).filter((id) => positionals.length === 0 || positionals.includes(id));
  const isPrinted = values.print || share < 1;
  const measured: Record<string, Row> = {};
  for (const bench of new Set(wanted.map((id) => figures[id]?.bench ?? ""))) {
    if (!isBench(bench)) continue;
    const own = (givenTo[bench] ?? []).filter((one) => one !== undefined);
    if (own.length < (givenTo[bench]?.length ?? 0)) {
      console.error(`${bench}: not measured without --transcripts, or --patches and --clones`);
      continue;
    }
    const given = bench === "damaged" && transcripts ? [transcripts] : own;
    const rows = await quietRuns(bench, given, !isPrinted);
    if (rows === null) process.exitCode = 1;
    else Object.assign(measured, rows);
  }
  const rows = Object.fromEntries(Object.entries(measured).filter(([id]) => wanted.includes(id)));
  if (isPrinted) return console.log(`${thisMachine()}\n\n${table(rows)}`);
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
