import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isBench, type BenchName } from "./benches.ts";
import { figures } from "./figure-table.ts";
import { rowsOn, table, thisMachine, withRows, type Row, type Rows } from "./figure-page.ts";
import { CannotMeasureError, share } from "./measure.ts";

const page = "docs/benchmarks.md";
const today = new Date().toISOString().slice(0, 10);

/** The figures of a bench, from its result. @throws {CannotMeasureError} where one of them was not measured */
export function readingsOf(bench: BenchName, result: object): Rows {
  const own = Object.entries(figures).filter(([, one]) => one.bench === bench);
  return Object.fromEntries(
    own.map(([id, { read }]): [string, Row] => {
      const reading = read(result as never);
      if (/NaN|Infinity|undefined/.test(`${reading.figure} ${reading.beside}`))
        throw new CannotMeasureError(`nothing was measured of ${id}: ${reading.figure}, ${reading.beside}`);
      return [id, { ...reading, date: today }];
    }),
  );
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
