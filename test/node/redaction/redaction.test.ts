import { expect, it } from "vitest";
import { maxDepth, redact, redactJson } from "#src/redaction/redact.ts";
import { base62, base64, digits, draw, hex, password, pem } from "#harness/secrets/secret-draw.ts";

const d = draw(7);

it("leaves the versions that a package is required in, and a command of the documentation", () => {
  const versions = ["^3.0.1", "~3.0.1", ">=3.0.1", "<4.0.0-beta.1", "3.0.1"];
  const required = versions.map((version) => `"@inquirer/password": "${version}",`);
  for (const text of [...required, "Use `curl -u user:password` or", "**`curl -u user:password`**, or"]) {
    expect(redact(text)).toEqual({ text, count: 0 });
  }
  const secret = `${d.chars(base62, 12)}!`;
  expect(redact(`Use \`curl -u ann:${secret}\` there`).text).toBe("Use `curl -u ann:[redacted:password]` there");
});

it("private text is replaced, tags included, and the rest stays", () => {
  expect(redact("a <private>b</private> c <private>d</private> e")).toEqual({
    text: "a [private] c [private] e",
    count: 2,
  });
});

it("private tags nest, have attributes and any case, and are known in JSON", () => {
  expect(redact("1<private>2<private>3</private>4</private>5").text).toBe("1[private]5");
  expect(redact('1<PRIVATE reason="a < b">2</Private >3').text).toBe("1[private]3");
  expect(redact("1<private\nkeep=no>2</private>3").text).toBe("1[private]3");
  expect(redact(String.raw`1\u003cprivate\u003e2\u003c/private\u003E3`).text).toBe("1[private]3");
  expect(redact(String.raw`1<private>2<\/private>3`).text).toBe("1[private]3");
});

it("without a closing tag everything to the end is private", () => {
  expect(redact("a <private>b\nc").text).toBe("a [private]");
  expect(redact("a <private>b<private>c</private>d").text).toBe("a [private]");
});

it("what is no private tag stays", () => {
  for (const text of ["a </private> b", "<privately>x</privately>", "<private/> a", "private <b>x</b>", "<private"]) {
    expect(redact(text)).toEqual({ text, count: 0 });
  }
});

it("a URL keeps all but its password", () => {
  const secret = d.chars(base62, 16);
  expect(redact(`see postgres://app:${secret}@db:5432/shop?ssl=1 there`)).toEqual({
    text: "see postgres://app:[redacted:url-password]@db:5432/shop?ssl=1 there",
    count: 1,
  });
});

it("a private key is taken out whole, whatever its line ends, and the text around it stays", () => {
  for (const eol of ["\n", "\r\n", "\\n", "\\\\n", "\\r\\n"]) {
    expect(redact(`a ${pem(d, "RSA PRIVATE KEY", eol)} b`).text).toBe("a [redacted:private-key] b");
  }
  const legacy = pem(d, "RSA PRIVATE KEY").replace(
    "-----\n",
    `-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,${d.chars(hex, 32)}\n\n`,
  );
  expect(redact(legacy).text).toBe("[redacted:private-key]");
  expect(redact(legacy.slice(0, 500)).text).not.toContain(legacy.slice(300, 340));
});

it("keys one after the other are taken out one by one, also where the first is cut off", () => {
  const first = pem(d, "EC PRIVATE KEY");
  expect(redact(`${first}\nnext\n${pem(d, "PRIVATE KEY")}\n`)).toMatchObject({
    text: "[redacted:private-key]\nnext\n[redacted:private-key]\n",
    count: 2,
  });
  const cut = first.split("\n").slice(0, 5).join("\n");
  expect(redact(`${cut}\n\nand then text.\n${pem(d, "PRIVATE KEY")}\nend`).text).toBe(
    "[redacted:private-key]\n\nand then text.\n[redacted:private-key]\nend",
  );
});

it("only the value goes; the name, the quotes and the line stay", () => {
  const secret = password(d);
  expect(redact(`A=1\nDB_PASSWORD=${secret}\nB=2`).text).toBe("A=1\nDB_PASSWORD=[redacted:password]\nB=2");
  expect(redact(`{"password": "${secret}", "a": 1}`).text).toBe('{"password": "[redacted:password]", "a": 1}');
  expect(redact(`tool --api-key=${d.chars(base62, 32)} --json`).text).toBe("tool --api-key=[redacted:secret] --json");
  expect(redact(`password = "two w0rds ${secret}"`).text).toBe('password = "[redacted:password]"');
});

it("each secret of a list and of a cookie header goes", () => {
  const keys = [1, 2, 3].map(() => d.chars(base62, 32));
  expect(redact(`apiKeys: ${JSON.stringify(keys)}`)).toMatchObject({ count: 3 });
  expect(redact(`Cookie: a=1; sid=${d.chars(hex, 40)}\nHost: x`).text).toBe("Cookie: [redacted:cookie]\nHost: x");
  expect(redact("Cookie: theme=dark; lang=en\n").count).toBe(0);
});

it("words that only a password may be are taken out where no code can be", () => {
  expect(redact("MYSQL_PWD=correcthorse\n").text).toBe("MYSQL_PWD=[redacted:password]\n");
  expect(redact("password=correcthorse").text).toBe("password=[redacted:password]");
  expect(redact("login({ password: correctHorse })").count).toBe(0);
  expect(redact("    password=correct_horse,\n").count).toBe(0);
  expect(redact("password: correcthorsebatterystaple").count).toBe(1);
  expect(redact("pin_password: 493817").count).toBe(1);
});

it("a chosen word with digits goes where only a value can stand, and stays elsewhere", () => {
  const chosen = `winter${d.chars(digits, 4)}`;
  const places = [
    "./migrate --target-token § --source a",
    "keytool -storepass § -alias a",
    "mysql -u root -p§ shop",
    "docker login -u ci -p § registry.acme.dev",
    "ADMIN_TOKEN=§ ./deploy.sh",
    'curl -H "X-Api-Key: §" https://acme.dev',
    "helm install a --set app.token=§",
    "requirepass §\nport 1\n",
    "Password:\n§\n",
    "jdbc:oracle:thin:app/§@db.internal:1521:ORCL",
  ];
  for (const place of places) {
    expect(redact(place.replace("§", chosen)).text).toMatch(/\[redacted:[a-z-]+\]/);
    expect(redact(place.replace("§", chosen)).text).not.toContain(chosen);
    for (const text of [place.replace("§", "<token>"), place.replace("§", "$TOKEN")])
      expect(redact(text).text).toBe(text);
  }
  for (const text of [
    `const token = ${chosen};`,
    `--tokenizer ${chosen}`,
    `token ${chosen}: read`,
    `cp -p ${chosen} b`,
  ]) {
    expect(redact(text).count).toBe(0);
  }
});

it("basic credentials are known by their decoded form", () => {
  const pair = Buffer.from(`ci:${password(d)}`).toString("base64");
  expect(redact(`{"auth": "${pair}"}`).text).toBe('{"auth": "[redacted:token]"}');
  expect(redact('{"auth": "abcdefghijklmnop"}').count).toBe(0);
});

it("a value that ends like an assignment is no type", () => {
  const pair = Buffer.from(`ci:${d.chars(base62, 13)}`).toString("base64");
  expect(pair).toMatch(/=$/);
  expect(redact(`Authorization: Basic ${pair}\n"next"`).text).toBe(
    'Authorization: Basic [redacted:authorization]\n"next"',
  );
  expect(redact(`password: str="${password(d)}"`).text).toBe('password: str="[redacted:password]"');
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

it("a token is known after an escape sequence and a terminal colour", () => {
  const tokens = {
    "github-token": `ghp_${d.chars(base62, 36)}`,
    "azure-secret": `${d.chars(base62, 3)}8Q~${d.chars(base62, 34)}`,
  };
  for (const [kind, token] of Object.entries(tokens)) {
    for (const before of ["\\n", "\\t", String.raw`\u0022`, "\u001b[32m", "%3D"]) {
      expect(redact(`x${before}${token}`).text).toBe(`x${before}[redacted:${kind}]`);
    }
    expect(redact(`x${token}`).count).toBe(0);
  }
});

it("an unknown token goes when a word for a secret is before it, and stays without one", () => {
  const token = d.chars(base62, 40);
  expect(redact(`use this api key for staging, ${token} ok`).text).toBe(
    "use this api key for staging, [redacted:token] ok",
  );
  expect(redact(`the build of ${token} is done`).count).toBe(0);
  expect(redact(`the token cache of commit ${d.chars(hex, 40)}`).count).toBe(0);
});

it("strings in JSON are redacted, and those at telling keys masked whole", () => {
  const secret = password(d);
  const token = `npm_${d.chars(base62, 36)}`;
  const redacted = redactJson({
    password: secret,
    nested: [{ apiKey: d.chars(base62, 24), note: `use ${token}`, count: 3, none: null, yes: true }],
    tokens: [d.chars(hex, 40)],
    env: [{ name: "DB_PASSWORD", value: secret }],
    headers: { Authorization: `Bearer ${d.chars(base64, 40)}`, Accept: "*/*" },
  });
  expect(redacted.value).toEqual({
    password: "[redacted:password]",
    nested: [{ apiKey: "[redacted:secret]", note: "use [redacted:npm-token]", count: 3, none: null, yes: true }],
    tokens: ["[redacted:token]"],
    env: [{ name: "DB_PASSWORD", value: "[redacted:password]" }],
    headers: { Authorization: "[redacted:authorization]", Accept: "*/*" },
  });
  expect(redacted.count).toBe(6);
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

it("at a telling key nothing of the string is left beside a known secret", () => {
  const token = `ghp_${d.chars(base62, 36)}`;
  expect(redactJson({ password: `x9!${token}`, token }).value).toEqual({
    password: "[redacted:password]",
    token: "[redacted:github-token]",
  });
});
