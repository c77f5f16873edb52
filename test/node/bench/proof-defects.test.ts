import { stripTypeScriptTypes } from "node:module";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { answersFor } from "../../../bench/proof/answers.ts";
import { counts, defectKinds, seedDefects } from "../../../bench/proof/defects.ts";
import { matchDefects } from "../../../bench/proof/match-defects.ts";
import type { Finding } from "#src/code/analysis/finding.ts";

const request = { entry: "src/index.ts", sources: { "src/index.ts": "export {};", "src/a.ts": "const a = 1;\n" } };

it("seeds the same defects for the same seed, at the lines that are named", () => {
  const seeding = seedDefects({ ...request, seed: 7 });
  expect(seedDefects({ ...request, seed: 7 })).toEqual(seeding);
  expect(seedDefects({ ...request, seed: 8 })).not.toEqual(seeding);
  for (const kind of defectKinds) {
    const copies = kind === "duplicate" ? 2 : 1;
    expect(seeding.defects.filter((one) => one.kind === kind)).toHaveLength(counts[kind] * copies);
  }
  for (const { file, symbol, lines } of seeding.defects) {
    const text = seeding.texts[file]?.split("\n") ?? [];
    expect(text[lines[0] - 1]).toContain(symbol);
    expect(text[lines[1]]).toBe("");
  }
  expect(seeding.texts["src/index.ts"]).toContain(`export { seededUse2 } from "./seeded-2";\n`);
});

it("names defects that no finding reports, and findings that report none", () => {
  const { defects } = seedDefects({ ...request, seed: 7 });
  const [first, ...rest] = defects.filter(({ kind }) => kind === "dead export");
  if (first === undefined) throw new Error("there is no dead export");
  const found = (file: string): Finding => ({
    tool: "knip",
    version: null,
    rule: "exports",
    level: "warning",
    file,
    range: { line: first.lines[0] },
    message: "",
    symbol: first.symbol,
    fingerprint: "",
    content: "",
  });
  const stray = found("src/other.ts");
  expect(matchDefects([found(first.file), stray], [first, ...rest])).toEqual({ missed: rest, strays: [stray] });
});

it("answers each defect that needs a model by edits of its own text, the last of a kind badly", () => {
  const seeding = seedDefects({ ...request, seed: 7 });
  const answers = answersFor(request.entry, seeding);
  expect(answers).toHaveLength(counts.duplicate + counts["complex function"] + counts["type error"]);
  const bad = answers.filter(({ refusal }) => refusal !== null).map(({ symbol }) => symbol.replace(/\d+$/, ""));
  expect(bad.toSorted()).toEqual(["seededComplex", "seededDuplicate", "seededTypeError"]);
  for (const { edits } of answers)
    for (const { file, from } of edits) expect((seeding.texts[file] ?? "").split(from).length > 1).toBe(true);
});

function load(text: string): (value: number) => number {
  return runInNewContext(`${stripTypeScriptTypes(text)}; seededComplex1`) as (value: number) => number;
}

it("answers a complex function by one that does the same", () => {
  const seeding = seedDefects({ ...request, seed: 7 });
  const answer = answersFor(request.entry, seeding).find(({ symbol }) => symbol === "seededComplex1");
  const [edit] = answer?.edits ?? [];
  if (edit === undefined) throw new Error("there is no edit");
  const [before, after] = [load(edit.from), load(edit.to)];
  const values = Array.from({ length: 200 }, (_, at) => at * 7_919);
  expect(values.map((value) => after(value))).toEqual(values.map((value) => before(value)));
});
