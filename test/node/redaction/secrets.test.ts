import { expect, it } from "vitest";
import { redact } from "#src/redaction/redact.ts";
import { secretSamples, tokens } from "#harness/secrets/secret-corpus.ts";
import { base62, draw, drawn } from "#harness/secrets/secret-draw.ts";
import {
  codeCases,
  codeLines,
  placeholderCases,
  placeholders,
  secretCases,
  tuned,
} from "#harness/secrets/secret-families.ts";
import { lookAlikes } from "#harness/secrets/secret-look-alikes.ts";

const d = draw(99);

it.each(tokens)("%s is known by its format alone: %s", (kind, pattern) => {
  const token = drawn(d, pattern);
  // An address keeps the name of its signature.
  const kept = kind === "url-signature" ? token.slice(0, token.indexOf("=") + 1) : "";
  expect(redact(`a (${token}) b`)).toEqual({ text: `a (${kept}[redacted:${kind}]) b`, count: 1 });
});

it("a known prefix before words is no token, and a real one after it is found", () => {
  const names = [
    "sk-loading-indicator-with-three-dots-animation",
    "sk-ant-design-component-library-theme",
    "sb_secret_name_of_the_project_in_vault",
    "vcr_recordingwithoutanynumbers",
    "secret_garden_of_the_hidden_flowers_near_the_old_house_x",
    "ghp_exampleexampleexampleexampleexampleexample",
    `AKIAEXAMPLE${"Q".repeat(9)}`,
    "eyJhbGciOiJIUzI1NiJ9 is the header of a token in JWT form",
  ];
  for (const text of [...names, names.join(" ")]) expect(redact(text)).toEqual({ text, count: 0 });
  const token = `ghp_${d.chars(base62, 36)}`;
  expect(redact(`${names[5]} ${token}`).text).toMatch(/ \[redacted:github-token\]$/);
});

const seeds = [5, 7, 11, 20_251];

it("each secret of the corpus goes, with a marker in its stead", () => {
  for (const seed of seeds) {
    const left = secretSamples(seed).filter(({ text, secrets }) => {
      const redacted = redact(text).text;
      return secrets.some((secret) => redacted.includes(secret)) || !/\[redacted:[a-z0-9-]+\]/.test(redacted);
    });
    expect([seed, left]).toEqual([seed, []]);
  }
});

it("what only looks like a secret stays", () => {
  for (const seed of seeds)
    for (const { name, text } of lookAlikes(seed)) expect(redact(text), name).toEqual({ text, count: 0 });
});

/** A part of twelve characters counts as the secret: half of it is enough to find the rest. */
function isLeft(text: string, secret: string): boolean {
  if (secret.length < 16) return text.includes(secret);
  const from = [secret.length >> 2, secret.length >> 1, secret.length - 12];
  return from.some((at) => text.includes(secret.slice(at, at + 12)));
}

it("of values at names that tell a secret, in any spelling and notation, at most one in a hundred stays", () => {
  for (const seed of [4_711, 90_125]) {
    const cases = secretCases(tuned, seed);
    const missed = cases.filter(({ text, secrets }) => secrets.some((secret) => isLeft(redact(text).text, secret)));
    expect(cases.length).toBeGreaterThan(500);
    expect(missed.length, missed.map(({ family }) => family).join("\n")).toBeLessThanOrEqual(cases.length / 100);
  }
});

it("placeholders at such names, and such names in code, are left as they are", () => {
  const names = [...tuned.passwords, ...tuned.tokens];
  const cases = [...placeholderCases(tuned, placeholders, 4_711), ...codeCases(names, codeLines, 4_711)];
  expect(cases.length).toBeGreaterThan(500);
  for (const { family, text } of cases) expect(redact(text).text, family).toBe(text);
});
