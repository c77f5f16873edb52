import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { benches } from "../../../bench/benches.ts";
import { figures } from "../../../bench/figure-table.ts";
import { medians, rowsOn, table, withRows } from "../../../bench/figure-page.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs/benchmarks.md"), "utf8");

/** A result of any shape, in which each number is 2: the compiler knows the shapes, and this that each is read. */
function anyResult(): object {
  const read = (_: object, name: string | symbol): unknown => {
    if (name === Symbol.toPrimitive) return () => 2;
    return ["toFixed", "toLocaleString"].includes(String(name)) ? () => "2" : anyResult();
  };
  return new Proxy({}, { get: read });
}

it("each figure reads its bench's result, and says whether the goal is met", () => {
  for (const [id, { bench, read, isMet, goal }] of Object.entries(figures)) {
    expect(Object.keys(benches), id).toContain(bench);
    const { figure, beside } = read(anyResult() as never);
    expect(`${figure} ${beside}`, id).not.toMatch(/NaN|undefined|object/);
    expect(figure, id).toMatch(/^\d/);
    expect(isMet(figure) === null, id).toBe(goal === "none");
  }
});

it("the results of the benches that measure no time have the shape that their figures read", async () => {
  process.env["SHIM_BENCH_SHARE"] = "0";
  for (const name of ["secrets", "effects"] as const) {
    const result = await benches[name]();
    for (const { read } of Object.values(figures).filter(({ bench }) => bench === name))
      expect(read(result as never).figure).toMatch(/^\d/);
  }
});

it("the page has a row with a date of each figure, with the text, the goal and the verdict of its declaration", () => {
  const rows = rowsOn(page);
  expect(Object.keys(rows)).toEqual(Object.keys(figures));
  for (const { date } of Object.values(rows)) expect(date).toMatch(/^\d{4}-\d\d-\d\d$/);
  expect(page).toContain(table(rows));
});

it("a figure that a run does not measure keeps its row", () => {
  const measured = { save: { figure: "0.50 x", beside: "a peer", date: "2030-01-01" } };
  expect(rowsOn(withRows(page, measured, "a machine"))).toEqual({ ...rowsOn(page), ...measured });
});

function run(figure: string, beside: string) {
  return { save: { figure, beside, date: "2030-01-01" } };
}

it("of three runs a figure is that of the median, all beside it of the same run, with the range of the three", () => {
  const runs = [run("1,200.0 ms", "a"), run("9.0 ms", "b"), run("10.0 ms", "c")];
  expect(medians(runs)["save"]).toEqual({
    figure: "10.0 ms",
    beside: "c; 3 runs 9.0 ms to 1,200.0 ms",
    date: "2030-01-01",
  });
});

it("runs that measure the same have no range", () => {
  expect(medians([run("0", "a"), run("0", "a"), run("0", "a")])).toEqual(run("0", "a"));
});
