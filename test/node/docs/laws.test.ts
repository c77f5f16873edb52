import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { mutated, readLaws, type Proof } from "../../../scripts/mutants.ts";
import { mutants } from "../../mutants/mutants.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const laws = readLaws();

it("the laws are numbered from 1 without a gap, and are at most 140", () => {
  expect(laws.map(({ number }) => number)).toEqual(laws.map((_, at) => at + 1));
  expect(laws.length).toBeGreaterThanOrEqual(110);
  expect(laws.length).toBeLessThanOrEqual(140);
});

it("each law is one sentence of at most 40 words, with one to three proofs", () => {
  const long = laws.filter(({ sentence }) => sentence.split(/\s+/).length > 40 || !/^(?:(?!\.\s).)+\.$/.test(sentence));
  const unproved = laws.filter(({ proofs }) => proofs.length < 1 || proofs.length > 3);
  expect([...long, ...unproved].map(({ number }) => number)).toEqual([]);
});

/** How many titles of the file begin with the text; an id in brackets in front of it does not count. */
function titlesOf({ file, title }: Proof): number {
  if (!existsSync(join(root, file))) return 0;
  const text = title.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return [...readFileSync(join(root, file), "utf8").matchAll(new RegExp(`["'\`](?:\\[\\w+\\] )*${text}`, "g"))].length;
}

it("each proof is one test of its file, by the start of its title", () => {
  const proofs = laws.flatMap(({ number, proofs: all }) => all.map((proof) => ({ number, ...proof })));
  expect(proofs.length).toBeGreaterThan(200);
  expect(proofs.filter((proof) => titlesOf(proof) !== 1)).toEqual([]);
});

it("each planted defect changes text that its file has once, and breaks a law that exists", () => {
  const numbers = new Set(laws.map(({ number }) => number));
  for (const mutant of mutants) {
    expect(() => mutated(mutant)).not.toThrow();
    expect([mutant.why, mutant.find === mutant.replace, numbers.has(mutant.law)]).toEqual([mutant.why, false, true]);
  }
  expect(mutants).toHaveLength(135);
});
