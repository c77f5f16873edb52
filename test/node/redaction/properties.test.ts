import * as fc from "fast-check";
import { expect, it } from "vitest";
import { redactJson } from "#src/redaction/redact-json.ts";
import { redact } from "#src/redaction/redact.ts";
import { secretSamples } from "#harness/secrets/secret-corpus.ts";
import { lookAlikes } from "#harness/secrets/secret-look-alikes.ts";

/** Fixed where secrets are drawn: about one in ten thousand looks like a word by chance and is rightly left. */
const seed = 20_251;
const seeds = fc.integer({ min: 0, max: 2 ** 31 });

/** Pieces of what the rules look for, so that random texts hit their edges. */
const piece = fc.constantFrom(
  ...'password|PASSWORD=|secret|token|api_key|Bearer |Basic |auth|Cookie: |: |=|"|\'|`|\\|\\n|\\"|\n| |,|;|@|://|user:|/|(|[|]|{|}|<|>|--token |-u |sk-|ghp_|eyJ|.|AKIA|hunter2|a1B2c3D4e5F6g7H8i9J0k|-----BEGIN PRIVATE KEY-----|-----END PRIVATE KEY-----|<private>|</private>|[redacted:password]|[redacted:|[private]|value|${X}|Q~|curl |login x |is |xoxb-| ? "| else |.set("|f(a, |${|{{|: >|!!str |echo |-stdin <<< |@tcp(|\\\\"'
    .split("|")
    .filter((part) => part !== ""),
  "|",
);
const binary = fc.string({ unit: "binary", maxLength: 12 });
const parts = fc.oneof({ weight: 3, arbitrary: piece }, { weight: 1, arbitrary: binary });
const hostile = fc.array(parts, { maxLength: 40 }).map((all) => all.join(""));

function keepsTheRest(text: string): void {
  const once = redact(text);
  if (once.count === 0) expect(once.text).toBe(text);
  let from = 0;
  for (const part of once.text.split(/\[redacted:[a-z0-9-]+\]|\[private\]/)) {
    const at = text.indexOf(part, from);
    expect(at).toBeGreaterThanOrEqual(from);
    from = at + part.length;
  }
  expect(redact(once.text)).toEqual({ text: once.text, count: 0 });
}

it("of any text what is kept is kept character for character and in order, and doing it again changes nothing", () => {
  fc.assert(fc.property(hostile, keepsTheRest), { numRuns: 5_000 });
});

it("redacted secrets stay redacted, next to each other and in any order, and other text is returned as it is", () => {
  const picks = fc.array(fc.nat(200), { minLength: 1, maxLength: 6 });
  const property = fc.property(seeds, picks, piece, (seed, chosen, between) => {
    const samples = secretSamples(seed);
    const once = redact(chosen.map((pick) => samples[pick % samples.length]?.text).join(between)).text;
    expect(redact(once).text).toBe(once);
    const others = lookAlikes(seed);
    const text = chosen.map((pick) => others[pick % others.length]?.text).join("\n\n");
    expect(redact(text)).toEqual({ text, count: 0 });
  });
  fc.assert(property, { numRuns: 60, seed });
});

it("a secret goes wherever its line is in other text @night", () => {
  const line = fc.string({ maxLength: 200 });
  const property = fc.property(seeds, fc.nat(200), line, line, (seed, pick, before, after) => {
    const samples = secretSamples(seed % 50);
    const sample = samples[pick % samples.length];
    const redacted = redact(`${before}\n${sample?.text}\n${after}`).text;
    for (const secret of sample?.secrets ?? []) expect(redacted).not.toContain(secret);
  });
  fc.assert(property, { numRuns: 1_000, seed });
});

it("never throws, whatever the JSON", () => {
  const property = fc.property(fc.jsonValue({ maxDepth: 6 }), hostile, (value, text) => {
    const { value: copy } = redactJson({ value, [text]: text, password: text });
    expect(JSON.stringify(copy)).toBeTypeOf("string");
  });
  fc.assert(property, { numRuns: 1_000 });
});

/** Of each rule what it looks for and does not get, again and again. */
const nearMisses = [
  '-----END PRIVATE KEY-----\n|-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n|LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t\n|Private-Lines: 8\n|"kty":"EC",|{"kty": |<RSAKeyValue><D>',
  "curl -u |curl -u a:|curl \\\n|--user |postgres://a:b/|redis://:x@|x@y:z/|://u:p@p@p@",
  'password\n|Password:\n|password |requirepass a |ENV PASSWORD |type="password" x="1" |<password>a|<key>password</key>',
  "seed phrase: a |mnemonic: abandon |sess|session_id=|Signature=|--token |token is |define('AUTH_KEY', ",
  "key_|.atlasv1.|Q~|shim_|cio|dapi|eyJ|oy2|sk.|M.aaaaaa.|A3-|\\n\\n|\\\\\\\\n",
  "mysql -p |docker login -p |-p |:oracle:a/|sqlplus |Password for |Unseal Key 1|--set a.token=|curl -b ",
  'password = a ? "|password = "" ?? |password = {{ |password = f(x,|password: { default|password: |\n|password:\n  a: b\n',
  '"a" == password |assertEq("a", password |password() {|password(a,|password") |<a name="password">|password <<< ',
  'echo aaaaaaa |echo a > |(mysqli("a", |login("a","b"|@tcp(|htpasswd -b a |:5432:a:|$ANSIBLE_VAULT;1.1;AES256\n',
  'password = \\"|\\"password\\" |{"a":"password = \\"|\\\\\\"',
  "abandon ability able about above absent absorb abstract ",
  "a".repeat(39),
].flatMap((all) => all.split("|"));

const units = ["a", "A1", "=", '"', "'", "\\", "<private ", "sk-", "-eyJabcdefghi", "://a:", "token:a:"];

/** Texts of so many characters that a rule of more than linear time takes minutes for. */
function answersAll(chars: number): void {
  for (const unit of [...units, ...nearMisses, "-----BEGIN PRIVATE KEY-----\n", 'password="']) {
    const text = unit.repeat(Math.ceil(chars / unit.length));
    expect(redact(text).text.length, unit).toBeLessThan(4 * text.length);
    expect(redact(`password=${text}`).text).not.toBe("");
  }
}

it("long texts of beginnings and of near misses of each rule are answered", () => answersAll(2 ** 15));

it("a megabyte of each is answered @night", { timeout: 600_000 }, () => answersAll(2 ** 20));
