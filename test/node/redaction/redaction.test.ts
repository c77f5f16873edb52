import { expect, it } from "vitest";
import * as z from "zod";
import { operationNames, operations } from "#src/contract/operations.ts";
import { maxDepth, redactInput, redactJson } from "#src/redaction/redact-json.ts";
import { redact } from "#src/redaction/redact.ts";
import { base62, base64, draw, drawn, encode, hex, password, pem, surrounded } from "#harness/secrets/secret-draw.ts";
import type { Draw, Pattern } from "#harness/secrets/secret-draw.ts";

const d = draw(7);
const pair = (d: Draw): string => encode(`ci:${d.chars(base62, 13)}`);

/** With the headers of a key that has a passphrase. */
function legacyKey(d: Draw): string {
  const headers = `Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,${d.chars(hex, 32)}`;
  return pem(d, "RSA PRIVATE KEY").replace("-----\n", `-----\n${headers}\n\n`);
}

it("only the value goes; the name, the quotes and the text around it stay", () => {
  const cases: readonly (readonly [kind: string, secret: Pattern, around: string])[] = [
    ["password", "«password»", "A=1\nDB_PASSWORD=§\nB=2"],
    ["password", "«password»", '{"password": "§", "a": 1}'],
    ["password", "two w0rds «base62 300»", 'password = "§"'],
    ["password", "x9!ghp_«base62 36»!y7", 'password = "§"'],
    ["password", "«password»", 'password: str="§"'],
    ["password", "«base62 12»!", "Use `curl -u ann:§` there"],
    // Its humps might be words.
    ["password", "wToyibo1JJN6", "nmcli device wifi connect Home password §"],
    // The colon of a marker separates no user from a password.
    ["password", "\0password", "curl -u PASSWORD=§"],
    // Words that only a password may be, where no code can be.
    ["password", "correcthorse", "MYSQL_PWD=§\n"],
    ["password", "correcthorse", "password=§"],
    ["password", "correcthorsebatterystaple", "password: §"],
    ["password", "493817", "pin_password: §"],
    ["password", "«password»", 'const password = process.env["DB_PASSWORD"] || "§";'],
    ["password", "«hex 40»", 'password = config.get("app.password", "§")'],
    ["token", "«base62 40»", "api_token = decode('§')"],
    ["password", "two w0rds", 'password: str = Field("§", min_length=4)'],
    ["token", "winter«digits 4»", "ADMIN_TOKEN=§ ./deploy.sh"],
    ["token", "winter«digits 4»", "helm install a --set app.token=§"],
    ["secret", "«base62 32»", "tool --api-key=§ --json"],
    ["url-password", "«base62 6»@«base62 8»", "amqps://worker:§@mq.internal:5671/vhost"],
    ["url-password", "«base62 16»", "see postgres://app:§@db:5432/shop?ssl=1 there"],
    ["cookie", "a=1; sid=«hex 40»", "Cookie: §\nHost: x"],
    ["token", "«base62 40»", "use this api key for staging, § ok"],
    // Credentials are known by their decoded form, also where they end like an assignment.
    ["token", pair, '{"auth": "§"}'],
    ["authorization", pair, 'Authorization: Basic §\n"next"'],
    ...["\n", "\\n", "\\t", String.raw`\u0022`, "\u001b[32m", "%3D"].flatMap((before) => [
      ["github-token", "ghp_«base62 36»", `x${before}§`] as const,
      ["azure-secret", "«base62 3»8Q~«base62 34»", `x${before}§`] as const,
    ]),
    ...["\n", "\r\n", "\\n", "\\\\n", "\\r\\n"].map(
      (eol) => ["private-key", (d: Draw) => pem(d, "RSA PRIVATE KEY", eol), "a § b"] as const,
    ),
    ["private-key", legacyKey, "§"],
  ];
  for (const [kind, secret, around] of cases) {
    const text = surrounded(d, around, drawn(d, secret));
    expect(redact(text), text).toEqual({ text: around.replace("§", `[redacted:${kind}]`), count: 1 });
  }
});

it("what is no secret and no private tag stays", () => {
  const token = d.chars(base62, 40);
  const versions = ["^3.0.1", "~3.0.1", ">=3.0.1", "<4.0.0-beta.1", "3.0.1"];
  for (const text of [
    versions.map((version) => `"@inquirer/password": "${version}",`),
    ["a </private> b", "<privates>x</privates>", "<private/> a", "private <b>x</b>", "<private", "a: Type<Private>; b"],
    ["Use `curl -u user:password` or", "**`curl -u user:password`**, or", "Cookie: theme=dark; lang=en\n"],
    ["login({ password: correctHorse })", "    password=correct_horse,\n", '{"auth": "abcdefghijklmnop"}'],
    ["const token = winter1234;", "--tokenizer winter1234", "token winter1234: read", "cp -p winter1234 b"],
    [`xghp_${d.chars(base62, 36)}`, `x${d.chars(base62, 3)}8Q~${d.chars(base62, 34)}`],
    [`the build of ${token} is done`, `the token cache of commit ${d.chars(hex, 40)}`],
  ].flat())
    expect(redact(text)).toEqual({ text, count: 0 });
});

it("private text is replaced, tags included, and the rest stays: nested, with attributes, in any case, in JSON and without an end", () => {
  for (const [text, expected] of [
    ["1<private>2<private>3</private>4</private>5", "1[private]5"],
    ['1<PRIVATE reason="a < b">2</Private >3', "1[private]3"],
    ["1<private\nkeep=no>2</private>3", "1[private]3"],
    [String.raw`1\u003cprivate\u003e2\u003c/private\u003E3`, "1[private]3"],
    [String.raw`1<private>2<\/private>3`, "1[private]3"],
    ["1<private>2\n3", "1[private]"],
    ["1<Private>2</private>3 <Private>4", "1[private]3 [private]"],
    ["1<private>2<private>3</private>4", "1[private]"],
  ] as const)
    expect(redact(text).text).toBe(expected);
  const twice = { text: "a [private] c [private] e", count: 2 };
  expect(redact("a <private>b</private> c <private>d</private> e")).toEqual(twice);
});

it("a private key is taken out whole, also where its end is cut off, and keys one after the other one by one", () => {
  const legacy = legacyKey(d);
  expect(redact(legacy.slice(0, 500)).text).not.toContain(legacy.slice(300, 340));
  const [first, second] = [pem(d, "EC PRIVATE KEY"), pem(d, "PRIVATE KEY")];
  const marker = "[redacted:private-key]";
  expect(redact(`${first}\nnext\n${second}\n`)).toEqual({ text: `${marker}\nnext\n${marker}\n`, count: 2 });
  const cut = first.split("\n").slice(0, 5).join("\n");
  const text = `${cut}\n\nand then text.\n${second}\nend`;
  expect(redact(text).text).toBe(`${marker}\n\nand then text.\n${marker}\nend`);
  const keys = [1, 2, 3].map(() => d.chars(base62, 32));
  expect(redact(`apiKeys: ${JSON.stringify(keys)}`)).toMatchObject({ count: 3 });
  // The name of the second one is seen once the first one, which it ends, has gone.
  expect(redact(`a/--token ${keys[0]}--token /${keys[1]}`).count).toBe(2);
});

it("secrets are found inside JSON strings of any depth", () => {
  const secret = password(d);
  let text: unknown = { env: `A=1\nDB_PASSWORD=${secret}\n`, password: secret, key: pem(d, "PRIVATE KEY") };
  for (let depth = 0; depth < 4; depth++) {
    text = JSON.stringify(depth === 0 ? text : { inner: text });
    const redacted = redact(String(text));
    expect(redacted.text).not.toContain(secret);
    expect(redacted.text).not.toContain("PRIVATE KEY");
    expect(() => JSON.parse(redacted.text)).not.toThrow();
  }
});

it("a word that is a secret in one place is none in another, whichever comes first", () => {
  for (const [words, secret, harmless] of [
    [["tidalharbour", "saltycanyon"], 'password = "§"', "login({ password: § })"],
    [["amberlantern", "copperkettle"], 'password = "§"', 'token = "§"'],
    [["winter7341", "summer8452"], "deploy --token § --yes", "const token = §;"],
  ] as const)
    for (const [at, word] of words.entries()) {
      const lines = at === 0 ? [secret, harmless] : [harmless, secret];
      const counts = lines.map((line) => redact(line.replace("§", word)).count);
      expect([word, counts]).toEqual([word, at === 0 ? [1, 0] : [0, 1]]);
    }
});

const envOf = (value: string) => [
  { name: "DB_PASSWORD", value },
  { key: "DB_PASSWORD", defaultValue: value },
];

it("strings in JSON are redacted, and those at telling keys masked whole", () => {
  const secret = password(d);
  const token = `npm_${d.chars(base62, 36)}`;
  const redacted = redactJson({
    password: secret,
    passphrase: `x9!${token}`,
    nested: [{ apiKey: d.chars(base62, 24), note: `use ${token}`, count: 3, none: null, yes: true }],
    tokens: [d.chars(hex, 40)],
    env: envOf(secret),
    headers: { Authorization: `Bearer ${d.chars(base64, 40)}`, token, Accept: "*/*" },
  });
  expect(redacted.value).toEqual({
    password: "[redacted:password]",
    passphrase: "[redacted:password]",
    nested: [{ apiKey: "[redacted:secret]", note: "use [redacted:npm-token]", count: 3, none: null, yes: true }],
    tokens: ["[redacted:token]"],
    env: envOf("[redacted:password]"),
    headers: { Authorization: "[redacted:authorization]", token: "[redacted:npm-token]", Accept: "*/*" },
  });
  expect(redacted.count).toBe(9);
});

it("placeholders, counts and prose at keys for secrets stay, and keys are checked too", () => {
  const value = {
    password: "${DB_PASSWORD}",
    token: "YOUR_TOKEN",
    max_tokens: "4096",
    secretName: "prod-db",
    hint: { password: "At least 8 characters" },
    __proto__x: 1,
  };
  expect(redactJson(value)).toEqual({ value, count: 0 });
  const token = `glpat-${d.chars(base62, 20)}`;
  expect(redactJson({ [token]: 1 }).value).toEqual({ "[redacted:gitlab-token]": 1 });
  expect(redactJson({ ["k".repeat(200)]: "v" }).count).toBe(0);
  expect(redactJson("<private>x</private>")).toEqual({ value: "[private]", count: 1 });
});

it("what is nested deeper than anyone writes is left out", () => {
  let value: unknown = "deep";
  for (let i = 0; i < maxDepth + 5; i++) value = [value];
  const text = JSON.stringify(redactJson(value).value);
  expect(text).toContain("[omitted: nested too deep]");
  expect(text).not.toContain('"deep"');
});

/** Names of all fields of an operation's input, of any depth. */
function fieldsOf(name: (typeof operationNames)[number]): string[] {
  const fields = new Set<string>();
  JSON.stringify(z.toJSONSchema(operations[name].input, { io: "input" }), (key, value: object) => {
    if (key === "properties") for (const field of Object.keys(value)) fields.add(field);
    return value;
  });
  return [...fields];
}

it("of each operation every field is redacted, at any depth, but of those with sealed contents and tokens", () => {
  const secret = `ghp_${d.chars(base62, 36)}`;
  for (const name of operationNames) {
    const fields = fieldsOf(name);
    const given = Object.fromEntries(fields.map((field) => [field, [secret, { [field]: [[secret]] }]]));
    const isLeft = /^(?:sync|tokens|workspaces)\./.test(name);
    const { input, count } = redactInput(name, given as never);
    const hasSecret = JSON.stringify(input).includes(secret);
    const isSecretLeft = isLeft && fields.length > 0;
    expect([name, count, hasSecret]).toEqual([name, isLeft ? 0 : 2 * fields.length, isSecretLeft]);
  }
});
