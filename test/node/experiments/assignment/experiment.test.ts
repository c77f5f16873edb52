import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { chooseArm, defineExperiment } from "#src/experiments/assignment/experiment.ts";
import { toName, toUnit } from "#src/experiments/assignment/names.ts";
import { sha256 } from "#src/experiments/assignment/sha256.ts";
import { armsHere, expectedArms } from "../../../rules/assignment.ts";

const arms = [
  { name: "control", weight: 3 },
  { name: "short", weight: 1 },
];
const units = Array.from({ length: 4000 }, (_, n) => toUnit("salt", `session-${n}`));

function hex(words: Iterable<number>): string {
  return Array.from(words, (word) => word.toString(16).padStart(8, "0")).join("");
}

it("[EX20] the hash is SHA-256", () => {
  expect(hex(sha256("abc"))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // All lengths of the padding, and halves of characters that UTF-8 does not have.
  for (let length = 0; length <= 200; length++) {
    const text = "aé😀ß".repeat(50).slice(0, length);
    expect(hex(sha256(text))).toBe(createHash("sha256").update(text, "utf8").digest("hex"));
  }
});

it("[EX20] units have the same arms on Node as in workerd", () => {
  expect(armsHere()).toBe(expectedArms);
});

function armsAt(share: number): (string | null)[] {
  const experiment = defineExperiment({ name: "brief", salt: "1", share, arms });
  return units.map((unit) => chooseArm(experiment, unit));
}

it("[EX21] arms get units by their weights", () => {
  const all = armsAt(1);
  expect(all.includes(null)).toBe(false);
  expect(all.filter((arm) => arm === "control").length / units.length).toBeCloseTo(0.75, 1);
  expect(new Set(armsAt(0))).toEqual(new Set([null]));
});

it("[EX21] a larger share adds units and moves none", () => {
  const [tenth, half, all] = [armsAt(0.1), armsAt(0.5), armsAt(1)];
  expect(tenth.filter((arm) => arm !== null).length / units.length).toBeCloseTo(0.1, 1);
  const kept = [...tenth.entries()].filter(([, arm]) => arm !== null);
  for (const [n, arm] of kept) expect([half[n], all[n]]).toEqual([arm, arm]);
});

it("[EX21] another salt and another experiment split the units independently", () => {
  const equal = [
    { name: "control", weight: 1 },
    { name: "short", weight: 1 },
  ];
  const first = defineExperiment({ name: "brief", salt: "1", share: 1, arms: equal });
  for (const other of [
    { name: "brief", salt: "2" },
    { name: "interval", salt: "1" },
  ]) {
    const second = defineExperiment({ ...other, share: 1, arms: equal });
    const same = units.filter((unit) => chooseArm(first, unit) === chooseArm(second, unit)).length;
    expect(same / units.length).toBeGreaterThan(0.46);
    expect(same / units.length).toBeLessThan(0.54);
  }
});

it("[EX23] names are short and plain, and a unit does not show its id", () => {
  for (const text of ["", "fix the login, please", "a".repeat(65), "line\nbreak", "-x", "ü"]) {
    expect(() => toName(text)).toThrow("1 to 64 plain characters");
    expect(() => toName(text)).not.toThrow(text === "" ? "never" : text);
  }
  expect(toName("brief.length_2-a")).toBe("brief.length_2-a");
  expect(toUnit("salt", "session-1")).toMatch(/^[0-9a-f]{32}$/);
  expect(toUnit("salt", "session-1")).not.toBe(toUnit("other", "session-1"));
});

it("[EX21] what is no experiment is refused", () => {
  const settings = { name: "brief", salt: "1", share: 0.5, arms };
  for (const [wrong, why] of [
    [{ arms: [] }, "two arms at least"],
    [{ arms: arms.slice(1) }, "two arms at least"],
    [{ share: 1.1 }, "A share is 0 to 1, not 1.1."],
    [{ share: NaN }, "A share is 0 to 1"],
    [{ arms: [...arms, { name: "long", weight: 0 }] }, "A weight is above 0."],
    [{ arms: [...arms, { name: "long", weight: Infinity }] }, "A weight is above 0."],
    [{ arms: [...arms, { name: "short", weight: 1 }] }, "the same name"],
    [{ arms: [...arms, { name: "off", weight: 1 }] }, 'another name than "off"'],
    [{ name: "the brief" }, "plain characters"],
  ] as const) {
    expect(() => defineExperiment({ ...settings, ...wrong })).toThrow(why);
  }
});
