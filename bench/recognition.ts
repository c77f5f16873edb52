import { redact } from "../src/redaction/redact.ts";
import { killFigures } from "../test/harness/effects/kill-model.ts";
import {
  isEnv,
  isIdentifier,
  isPlain,
  type Families,
  type Notation,
  codeCases,
  placeholderCases,
  secretCases,
  type SecretCase,
} from "../test/harness/secrets/secret-families.ts";
import { codeLines, placeholders, tuned } from "../test/harness/secrets/secret-families.ts";
import { lookAlikes } from "../test/harness/secrets/secret-look-alikes.ts";
import { scaled } from "./measure.ts";

/**
 * Names and notations that redaction was not made with: written before its rules, and measured only. A secret that is
 * missed here is not mended for itself; what it shows is added to the tests, and replaced here by something new.
 */

const passwords = "smtp password, ldap bind pw, vpn pass phrase, sudo pass, wifi psk, keystore passwd".split(", ");
const tokens = [
  "refresh token, bot token, stripe secret key, datadog app key, webhook signing key, consumer secret",
  "encryption key, vault token",
].flatMap((names) => names.split(", "));

const notations: readonly Notation[] = [
  ["powershell", (name, value) => (isIdentifier(name) ? `$env:${name} = "${value}"` : null)],
  ["terraform option", (name, value) => (isIdentifier(name) ? `terraform apply -var '${name}=${value}'` : null)],
  ["fragment", (name, value) => (isPlain(name) ? `https://app.acme.dev/cb#state=1&${name}=${value}&type=x` : null)],
  ["said", (name, value) => `For the tests: ${name} is ${value}`],
  ["attribute", (name, value) => (isPlain(name) ? `<connection ${name}="${value}" port="25"/>` : null)],
  ["csharp", (name, value) => (isIdentifier(name) ? `    public const string ${name} = "${value}";` : null)],
  ["swift", (name, value) => (isIdentifier(name) ? `    let ${name}: String = "${value}"` : null)],
  ["app settings", (name, value) => (isPlain(name) ? `<add key="${name}" value="${value}" />` : null)],
  [
    "kubectl literal",
    (name, value) => (isPlain(name) ? `kubectl create secret generic app --from-literal=${name}=${value}` : null),
  ],
  ["elixir", (name, value) => (isIdentifier(name) ? `config :app, ${name}: "${value}"` : null)],
  ["nix", (name, value) => (isPlain(name) ? `  services.app.${name} = "${value}";` : null)],
  ["cmake", (name, value) => (isEnv(name) ? `set(${name} "${value}")` : null)],
  ["command prompt", (name, value) => (isEnv(name) ? `C:\\app> set ${name}=${value}` : null)],
  ["curl form", (name, value) => (isPlain(name) ? `curl -F ${name}=${value} https://app.acme.dev/login` : null)],
  ["log line", (name, value) => (isPlain(name) ? `10:02:11 INFO boot: ${name}=${value} port=25` : null)],
];

const heldOut: Families = { passwords, tokens, notations };

const heldOutPlaceholders = "<value>, ${SECRET_VALUE}, xxxxxxxxxxxx, changeme, REDACTED, null, TODO".split(", ");

const heldOutCode: readonly ((name: string, other: string) => string)[] = [
  (name) => `fn ${name}(&self) -> &str {`,
  (name, other) => `${name} := ${other}.Get(ctx)`,
  (name) => `private readonly ${name}: string;`,
  (name) => `describe("${name}", () => {`,
  (name) => `if ${name} is None: raise ValueError("${name}")`,
  (name, other) => `CREATE TABLE t (${name} text NOT NULL, ${other} integer)`,
  (name) => `<span className={styles.${name}}>{t("${name}")}</span>`,
  (name, other) => `return ${name} ? ${other} : null;`,
];

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

const kills = scaled(1_000, 20);
/** Share of the running commands that go on when their client is killed. */
const outlives = [1, 0.7, 0];

/** What the guard before repeated effects asks and lets through, in the model of the tests. */
export function effects() {
  const on = outlives.map((one) => killFigures({ guard: "on", outlives: one }, kills, 1));
  const off = outlives.map((one) => killFigures({ guard: "off", outlives: one }, kills, 1));
  return {
    kills,
    repeated: Math.max(...on.map((one) => one.repeated)),
    repeatedOff: Math.max(...off.map((one) => one.repeated)),
    askedNeedlessly: Math.max(...on.map(({ needless, calls }) => needless / calls)),
  };
}
