import { redact } from "../src/redaction/redact.ts";
import {
  codeCases,
  codeLines,
  placeholderCases,
  placeholders,
  secretCases,
  tuned,
  type SecretCase,
} from "../test/harness/secrets/secret-families.ts";
import { lookAlikes } from "../test/harness/secrets/secret-look-alikes.ts";
import { heldOut, heldOutCode, heldOutPlaceholders } from "./held-out-secrets.ts";
import { scaled } from "./measure.ts";

/** None of them was used while the rules were made. */
const seeds = [4_711, 90_125, 2_112].slice(0, scaled(3));

/** Drawn secrets that redaction removes, and drawn look-alikes that it changes. Held out: names and notations that no rule was made with. */
export function secrets() {
  const known = seeds.flatMap((seed) => secretCases(tuned, seed));
  const unknown = seeds.flatMap((seed) => secretCases(heldOut, seed));
  const alike = seeds.flatMap((seed) =>
    [
      placeholderCases(tuned, placeholders, seed),
      codeCases([...tuned.passwords, ...tuned.tokens], codeLines, seed),
      placeholderCases(heldOut, heldOutPlaceholders, seed),
      codeCases([...heldOut.passwords, ...heldOut.tokens], heldOutCode, seed),
      lookAlikes(seed),
    ].flat(),
  );
  return {
    known: known.length,
    knownFound: known.filter(isGone).length,
    heldOut: unknown.length,
    heldOutFound: unknown.filter(isGone).length,
    lookAlikes: alike.length,
    changed: alike.filter(({ text }) => redact(text).text !== text).length,
  };
}

function isGone(one: SecretCase): boolean {
  const { text } = redact(one.text);
  return !one.secrets.some((secret) => isLeft(text, secret));
}

/** A part of twelve characters counts as the secret: half of it is enough to find the rest. */
function isLeft(text: string, secret: string): boolean {
  if (secret.length < 16) return text.includes(secret);
  const starts = [secret.length >> 2, secret.length >> 1, secret.length - 12];
  return starts.some((at) => text.includes(secret.slice(at, at + 12)));
}
