import { describe, expect, it } from "vitest";
import { redact } from "#src/redaction/redact.ts";
import {
  codeCases,
  harmlessCases,
  placeholderCases,
  secretCases,
  type HarmlessCase,
  type SecretCase,
} from "#harness/secrets/secret-cases.ts";
import * as families from "#harness/secrets/secret-families.ts";
import * as others from "#harness/secrets/secret-held-out.ts";

/** None of them was used while the rules were made. */
const seeds = [4_711, 90_125, 2_112];

function secretsOf(seed: number): { tuned: SecretCase[]; heldOut: SecretCase[] } {
  return { tuned: secretCases(families.tuned, seed), heldOut: secretCases(others.heldOut, seed) };
}

function lookAlikesOf(seed: number): { tuned: HarmlessCase[]; heldOut: HarmlessCase[] } {
  const { tuned, tunedPlaceholders, tunedCode, tunedHarmless } = families;
  const { heldOut, heldOutPlaceholders, heldOutCode, heldOutHarmless } = others;
  return {
    tuned: [
      ...placeholderCases(tuned, tunedPlaceholders, seed),
      ...codeCases([...tuned.passwords, ...tuned.tokens], tunedCode, seed),
      ...harmlessCases(tunedHarmless, seed),
    ],
    heldOut: [
      ...placeholderCases(heldOut, heldOutPlaceholders, seed),
      ...codeCases([...heldOut.passwords, ...heldOut.tokens], heldOutCode, seed),
      ...harmlessCases(heldOutHarmless, seed),
    ],
  };
}

/** A part of twelve characters counts as the secret: half of it is enough to find the rest. */
function isLeft(text: string, secret: string): boolean {
  if (secret.length < 16) return text.includes(secret);
  return [secret.length >> 2, secret.length >> 1, secret.length - 12].some((at) =>
    text.includes(secret.slice(at, at + 12)),
  );
}

function missedOf(cases: readonly SecretCase[]): string[] {
  return cases
    .filter(({ text, secrets }) => {
      const redacted = redact(text).text;
      return secrets.some((secret) => isLeft(redacted, secret));
    })
    .map(({ family }) => family);
}

describe.each(seeds)("seed %i", (seed) => {
  it("at least 95 of 100 secrets go, in families that the rules were made with and in others", () => {
    const { tuned, heldOut } = secretsOf(seed);
    const missed = { tuned: missedOf(tuned), heldOut: missedOf(heldOut) };
    console.log(
      `secrets found: ${tuned.length - missed.tuned.length} of ${tuned.length}, in other families ${heldOut.length - missed.heldOut.length} of ${heldOut.length}`,
    );
    expect(missed.tuned.length, missed.tuned.join("\n")).toBeLessThanOrEqual(tuned.length * 0.05);
    expect(missed.heldOut.length).toBeLessThanOrEqual(heldOut.length * 0.05);
  });

  it("no look-alike is changed, in families that the rules were made with and in others", () => {
    const { tuned, heldOut } = lookAlikesOf(seed);
    for (const { family, text } of [...tuned, ...heldOut]) expect(redact(text).text, family).toBe(text);
  });
});

it("the corpus holds at least 300 secrets and 300 look-alikes of each kind, each with something to find", () => {
  const secrets = secretsOf(1);
  const harmless = lookAlikesOf(1);
  for (const cases of [secrets.tuned, secrets.heldOut, harmless.tuned, harmless.heldOut]) {
    expect(cases.length).toBeGreaterThanOrEqual(300);
  }
  for (const { family, text, secrets: values } of [...secrets.tuned, ...secrets.heldOut]) {
    expect(values.length, family).toBeGreaterThan(0);
    for (const value of values) expect(text, family).toContain(value);
  }
});
