import { redact } from "../src/redaction/redact.ts";
import { killFigures } from "../test/harness/effects/kill-model.ts";
import {
  isEnv,
  isIdentifier,
  isOption,
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
  ["ruby hash", (name, value) => (isIdentifier(name) ? `  :${name} => '${value}',` : null)],
  ["kotlin", (name, value) => (isIdentifier(name) ? `private const val ${name} = "${value}"` : null)],
  ["powershell", (name, value) => (isIdentifier(name) ? `$env:${name} = "${value}"` : null)],
  ["terraform option", (name, value) => (isIdentifier(name) ? `terraform apply -var '${name}=${value}'` : null)],
  ["compose list", (name, value) => (isEnv(name) ? `    environment:\n      - ${name}=${value}\n` : null)],
  ["systemd unit", (name, value) => (isEnv(name) ? `[Service]\nEnvironment="${name}=${value}"\n` : null)],
  ["fragment", (name, value) => (isPlain(name) ? `https://app.acme.dev/cb#state=1&${name}=${value}&type=x` : null)],
  ["python setdefault", (name, value) => (isPlain(name) ? `os.environ.setdefault("${name}", "${value}")` : null)],
  ["list of arguments", (name, value) => (isOption(name) ? `["run", "--${name}", "${value}", "--all"]` : null)],
  ["hocon", (name, value) => (isPlain(name) ? `db {\n  ${name} = "${value}"\n}` : null)],
  ["said", (name, value) => `For the tests: ${name} is ${value}`],
  ["java call", (name, value) => (isIdentifier(name) ? `config.put("${name}", "${value}");` : null)],
  ["attribute", (name, value) => (isPlain(name) ? `<connection ${name}="${value}" port="25"/>` : null)],
  ["escaped JSON", (name, value) => JSON.stringify({ log: JSON.stringify({ [name]: value, ok: true }) })],
];

const heldOut: Families = { passwords, tokens, notations };

const heldOutPlaceholders = "<value>, ${SECRET_VALUE}, xxxxxxxxxxxx, changeme, REDACTED, null, TODO".split(", ");

const heldOutCode: readonly ((name: string, other: string) => string)[] = [
  (name) => `def rotate(self, ${name}: str | None = None) -> None:`,
  (name, other) => `assert ${other}.${name} is not None, "no ${name}"`,
  (name) => `public void set(String ${name}) { this.${name} = ${name}; }`,
  (name, other) => `let ${name} = ${other}.map(|one| one.${name}.clone());`,
  (name, other) => `${name}: ${other}.${name} ?? defaults.${name},`,
  (name) => `expect(result.${name}).toBe(undefined);`,
  (name) => `<Input value={${name}} onChange={setValue} label="${name}" />`,
  (name) => `log.info("the %s is missing", "${name}");`,
  (name) => `{ "${name}": { "type": "string", "minLength": 12 } }`,
  (name, other) => `for (const ${name} of ${other}.${name}s) check(${name});`,
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
