import {
  encodedPair,
  isEnv,
  isIdentifier,
  isOption,
  isPlain,
  pick,
  type Families,
  type Notation,
} from "./secret-cases.ts";
import {
  base62,
  base64,
  digits,
  encode,
  encodeUrl,
  hex,
  jwt,
  lower,
  pem,
  upper,
  urlSafe,
  uuid,
  type Draw,
} from "./secret-draw.ts";

/** The families that the rules were made with. */

const passwords = [
  "password",
  "db password",
  "passwd",
  "admin pwd",
  "db pw",
  "pass phrase",
  "key passphrase",
  "user pass",
  "wpa psk",
  "mysql root password",
  "proxy pass",
  "pass word",
];

const tokens = [
  "secret",
  "token",
  "access token",
  "api key",
  "access key",
  "private key",
  "client secret",
  "auth token",
  "secret access key",
  "signing secret",
  "session token",
  "secret key",
  "personal access token",
  "service credential",
  "sendgrid key",
  "session secret",
  "app key",
];

const notations: readonly Notation[] = [
  ["env", (name, value) => (isEnv(name) ? `HOST=db\n${name}=${value}\nPORT=1\n` : null)],
  ["export", (name, value) => (isEnv(name) ? `export ${name}="${value}"` : null)],
  ["command prefix", (name, value) => (isEnv(name) ? `${name}=${value} npm run deploy` : null)],
  ["yaml", (name, value) => `service:\n  ${name}: ${value}\n  port: 1\n`],
  ["quoted yaml", (name, value) => `service:\n  ${name}: '${value}'\n`],
  ["json", (name, value) => `{"host": "db", ${JSON.stringify(name)}: "${value}", "port": 1}`],
  ["json in json", (name, value) => JSON.stringify({ body: JSON.stringify({ [name]: value }) })],
  ["toml", (name, value) => (isPlain(name) ? `[service]\n${name} = "${value}"\n` : null)],
  ["properties", (name, value) => (isPlain(name) ? `a=1\n${name}=${value}\nb=2\n` : null)],
  ["ini with blanks", (name, value) => (isPlain(name) ? `[a]\n${name} = ${value}\n` : null)],
  ["header", (name, value) => (/^[A-Z][\w-]+$/.test(name) ? `Host: a\n${name}: ${value}\nAccept: */*` : null)],
  ["curl header", (name, value) => (isPlain(name) ? `curl -H "X-${name}: ${value}" https://acme.dev` : null)],
  ["option with a blank", (name, value) => (isOption(name) ? `tool --${name} ${value} --yes` : null)],
  ["option with =", (name, value) => (isOption(name) ? `tool --${name}=${value} --yes` : null)],
  ["option with one dash", (name, value) => (isOption(name) ? `java -${name} ${value} -jar a.jar` : null)],
  ["query", (name, value) => (isPlain(name) ? `GET /v1/a?b=1&${name}=${value}&c=2 200` : null)],
  ["form", (name, value) => (isPlain(name) ? `curl -d '${name}=${value}' https://acme.dev/login` : null)],
  ["python argument", (name, value) => (isIdentifier(name) ? `connect(host="db", ${name}="${value}")` : null)],
  ["javascript", (name, value) => (isIdentifier(name) ? `const ${name} = '${value}';` : null)],
  ["typescript", (name, value) => (isIdentifier(name) ? `const ${name}: string = "${value}";` : null)],
  ["object", (name, value) => (isIdentifier(name) ? `open({ ${name}: "${value}", port: 1 })` : null)],
  ["template literal", (name, value) => (isIdentifier(name) ? `${name} = \`${value}\`` : null)],
  ["go", (name, value) => (isIdentifier(name) ? `\t${name} := "${value}"` : null)],
  ["php", (name, value) => (isPlain(name) ? `  '${name}' => '${value}',` : null)],
  ["php define", (name, value) => (isEnv(name) ? `define('${name}',         '${value}');` : null)],
  ["subscript", (name, value) => (isPlain(name) ? `os.environ["${name}"] = "${value}"` : null)],
  ["xml element", (name, value) => (isPlain(name) ? `<a><${name}>${value}</${name}></a>` : null)],
  ["xml attribute", (name, value) => (isPlain(name) ? `<server host="db" ${name}="${value}"/>` : null)],
  ["property list", (name, value) => `<key>${name}</key>\n<string>${value}</string>`],
  ["name and value", (name, value) => `- name: "${name}"\n  value: ${value}\n`],
  ["dockerfile", (name, value) => (isEnv(name) ? `FROM node\nENV ${name} ${value}\nRUN true\n` : null)],
  ["fish", (name, value) => (isEnv(name) ? `set -gx ${name} ${value}` : null)],
  ["helm", (name, value) => (isPlain(name) ? `helm install a --set app.${name}=${value}` : null)],
  ["markdown", (name, value) => `- **${name}**: ${value}\n- **Port**: 1\n`],
  ["markdown code", (name, value) => `${name}: \`${value}\``],
  ["line numbers", (name, value) => (isPlain(name) ? `     1\ta=1\n     2\t${name}=${value}\n` : null)],
  ["full-width colon", (name, value) => `${name}：${value}`],
];

/** A token of an issuer, in one of several places. */
const issued = (family: string, make: (d: Draw) => string): Families["samples"][number] => [
  family,
  (d) => {
    const secret = make(d);
    const around = pick(d, [
      (s: string) => `export X=${s}\n`,
      (s: string) => `{"x":"${s}"}`,
      (s: string) => `curl -H 'X: ${s}' https://acme.dev`,
      (s: string) => `saved as ${s} just now`,
      (s: string) => JSON.stringify({ out: `ok\n${s}\n` }),
    ]);
    return { text: around(secret), secret };
  },
];

const oneSecret = (
  family: string,
  make: (d: Draw) => string,
  around: (secret: string, d: Draw) => string,
): Families["samples"][number] => [
  family,
  (d) => {
    const secret = make(d);
    return { text: around(secret, d), secret };
  },
];

const issuers: Families["samples"] = [
  issued("terraform cloud", (d) => `${d.chars(base62, 14)}.atlasv1.${d.chars(urlSafe, 67)}`),
  issued("discord bot", (d) => `M${d.chars(base62, 25)}.${d.chars(base62, 6)}.${d.chars(urlSafe, 38)}`),
  issued("mapbox", (d) => `sk.${encodeUrl(`{"u":"acme","a":"${d.chars(lower, 20)}"}`)}.${d.chars(urlSafe, 22)}`),
  issued("buildkite", (d) => `bkua_${d.chars(hex, 40)}`),
  issued("artifactory", (d) => `AKCp8${d.chars(base62, 68)}`),
  issued("dropbox", (d) => `sl.u.${d.chars(urlSafe, 130)}`),
  issued("posthog", (d) => `phx_${d.chars(base62, 43)}`),
  issued("launchdarkly", (d) => `sdk-${uuid(d)}`),
  issued(
    "extended private key",
    (d) => `xprv${d.chars("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", 107)}`,
  ),
  issued("slack", (d) => `xoxd-${d.chars(base62, 80)}`),
  issued("aws", (d) => `AKIA${d.chars(`${upper}234567`, 16)}`),
  issued("github", (d) => `github_pat_${d.chars(base62, 22)}_${d.chars(base62, 59)}`),
  issued("gitlab", (d) => `glpat-${d.chars(urlSafe, 20)}`),
  issued("stripe", (d) => `sk_live_${d.chars(base62, 24)}`),
  issued("anthropic", (d) => `sk-ant-api03-${d.chars(urlSafe, 93)}AA`),
  issued("openai", (d) => `sk-proj-${d.chars(urlSafe, 64)}`),
  issued("google", (d) => `AIza${d.chars(urlSafe, 35)}`),
  issued("npm", (d) => `npm_${d.chars(base62, 36)}`),
  issued("sendgrid", (d) => `SG.${d.chars(urlSafe, 22)}.${d.chars(urlSafe, 43)}`),
  issued("1password secret key", (d) => `A3-${[6, 6, 5, 5, 5, 5].map((n) => d.chars(upper + digits, n)).join("-")}`),
  issued("jwt", jwt),
  issued("circleci", (d) => `CCIPAT_${d.chars(base62, 22)}_${d.chars(hex, 40)}`),
  issued("contentful", (d) => `CFPAT-${d.chars(urlSafe, 43)}`),
  issued("aiven", (d) => `AVNS_${d.chars(urlSafe, 19)}`),
  issued("firecrawl", (d) => `fc-${d.chars(hex, 32)}`),
  issued("neon", (d) => `napi_${d.chars(lower + digits, 64)}`),
];

const keys: Families["samples"] = [
  ...["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "DSA PRIVATE KEY"].flatMap(
    (label): Families["samples"] => {
      const whole = (d: Draw) => pem(d, label);
      return [
        oneSecret(`${label}, file`, whole, (s) => s),
        oneSecret(`${label}, cat -n`, whole, (s) => numbered(s, (at) => `${String(at).padStart(6)}\t`)),
        oneSecret(`${label}, numbers with an arrow`, whole, (s) => numbered(s, (at) => `${String(at).padStart(6)}→`)),
        oneSecret(`${label}, numbers with ->`, whole, (s) => numbered(s, (at) => `${at}->`)),
        oneSecret(`${label}, grep`, whole, (s) => numbered(s, (at) => `keys/id.pem:${at}:`)),
        oneSecret(
          `${label}, escaped`,
          (d) => pem(d, label, "\\n"),
          (s) => `{"private_key":"${s}\\n"}`,
        ),
        oneSecret(`${label}, indented`, whole, (s) => `key: |\n${s.replaceAll(/^/gm, "    ")}\nnext: 1`),
        oneSecret(`${label}, quoted lines`, whole, (s) => s.replaceAll(/^/gm, "> ")),
        oneSecret(
          `${label}, end cut off`,
          (d) => whole(d).slice(0, 480),
          (s) => s,
        ),
        oneSecret(
          `${label}, numbered, end cut off`,
          (d) => whole(d).slice(0, 480),
          (s) => numbered(s, (at) => `${String(at).padStart(6)}\t`),
        ),
        oneSecret(
          `${label}, beginning cut off`,
          (d) => whole(d).slice(200),
          (s) => s,
        ),
        oneSecret(
          `${label}, numbered, beginning cut off`,
          (d) => whole(d).slice(200),
          (s) => numbered(s, (at) => `${String(at + 4).padStart(6)}→`),
        ),
      ];
    },
  ),
  oneSecret(
    "kubeconfig",
    (d) => encode(pem(d, "RSA PRIVATE KEY")),
    (s, d) =>
      `users:\n- name: admin\n  user:\n    client-certificate-data: ${encode(`-----BEGIN CERTIFICATE-----\n${d.chars(base64, 64)}`)}\n    client-key-data: ${s}\n`,
  ),
  oneSecret(
    "base64 of a key",
    (d) => encode(pem(d, "PRIVATE KEY")),
    (s) => `echo ${s} | base64 -d > id`,
  ),
  oneSecret(
    "putty",
    (d) => Array.from({ length: 8 }, () => d.chars(base64, 64)).join("\n"),
    (s, d) =>
      `PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: ann\nPublic-Lines: 2\n${d.chars(base64, 64)}\n${d.chars(base64, 40)}\nPrivate-Lines: 8\n${s}\nPrivate-MAC: ${d.chars(hex, 64)}\n`,
  ),
  oneSecret(
    "JWK, RSA",
    (d) => d.chars(urlSafe, 342),
    (s, d) => JSON.stringify({ kty: "RSA", n: d.chars(urlSafe, 342), e: "AQAB", d: s, kid: "1" }),
  ),
  oneSecret(
    "JWK, EC, written over lines",
    (d) => d.chars(urlSafe, 43),
    (s, d) =>
      JSON.stringify({ d: s, kty: "EC", crv: "P-256", x: d.chars(urlSafe, 43), y: d.chars(urlSafe, 43) }, null, 2),
  ),
  oneSecret(
    "age",
    (d) => `AGE-SECRET-KEY-1${d.chars("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)}`,
    (s) => `# created: 2026\n${s}\n`,
  ),
  oneSecret(
    "XML key",
    (d) => `${d.chars(base64, 86)}==`,
    (s, d) =>
      `<RSAKeyValue><Modulus>${d.chars(base64, 86)}==</Modulus><Exponent>AQAB</Exponent><D>${s}</D></RSAKeyValue>`,
  ),
];

function numbered(text: string, number: (at: number) => string): string {
  return text
    .split("\n")
    .map((line, at) => `${number(at + 1)}${line}`)
    .join("\n");
}

const login = (d: Draw): string => `${d.chars(base62, 7)}${d.chars("!*_+.-", 1)}${d.chars(base62, 6)}`;

const places: Families["samples"] = [
  oneSecret("curl -u", login, (s) => `curl -u ann:${s} https://acme.dev`),
  oneSecret("curl -u, quoted", login, (s) => `curl -s -u 'ann:${s}' https://acme.dev`),
  oneSecret("curl -u, together", login, (s) => `curl -uann:${s} https://acme.dev`),
  oneSecret("curl --user", login, (s) => `curl --user ann:${s} https://acme.dev`),
  oneSecret("curl --user=", login, (s) => `curl -X POST --user="ann:${s}" https://acme.dev`),
  oneSecret("curl behind the address", login, (s) => `curl https://acme.dev/a?b=1 \\\n  -u ann:${s} \\\n  -o a`),
  oneSecret("curl as a list", login, (s) => `spawn("curl", ["-u", "ann:${s}", "https://acme.dev"])`),
  oneSecret("httpie", login, (s) => `http -a ann:${s} GET https://acme.dev`),
  oneSecret(
    "address, / in the password",
    (d) => `${d.chars(base62, 8)}/${d.chars(base62, 8)}`,
    (s) => `redis://:${s}@cache.internal:6379/0`,
  ),
  oneSecret(
    "address, @ in the password",
    (d) => `${d.chars(base62, 6)}@${d.chars(base62, 6)}`,
    (s) => `DATABASE_URL=postgres://app:${s}@db.internal:5432/shop`,
  ),
  oneSecret(
    "address, @ and / in the password",
    (d) => `${d.chars(base62, 5)}@${d.chars(base62, 3)}/${d.chars(base62, 5)}`,
    (s) => `mysql://app:${s}@10.0.0.5:3306/shop?a=1`,
  ),
  oneSecret(
    "address",
    (d) => d.chars(base62, 14),
    (s) => `https://ann:${s}@git.acme.dev/a/b.git`,
  ),
  oneSecret(
    "AWS address, version 2",
    (d) => `${d.chars(base62, 27)}%3D`,
    (s, d) => `https://b.s3.amazonaws.com/k?AWSAccessKeyId=AKIA${d.chars(upper, 16)}&Expires=1&Signature=${s}`,
  ),
  oneSecret(
    "AWS address, version 4",
    (d) => d.chars(hex, 64),
    (s) => `https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=${s}&x=1`,
  ),
  oneSecret(
    "GCS address, version 2",
    (d) => `${d.chars(base62, 340)}%2B%3D%3D`,
    (s) => `https://storage.googleapis.com/b/o?GoogleAccessId=a@b.iam.gserviceaccount.com&Expires=1&Signature=${s}`,
  ),
  oneSecret(
    "Azure SAS",
    (d) => `${d.chars(base62, 43)}%3D`,
    (s) => `https://a.blob.core.windows.net/c?sv=2024-11-04&ss=b&sig=${s}`,
  ),
  oneSecret(
    "otpauth",
    (d) => d.chars(`${upper}234567`, 32),
    (s) => `otpauth://totp/Acme:ann?secret=${s}&issuer=Acme`,
  ),
  oneSecret(
    "redis.conf",
    (d) => d.chars(base62, 20),
    (s) => `bind 127.0.0.1\nrequirepass ${s}\nmaxmemory 1gb\n`,
  ),
  oneSecret(
    "keytool",
    (d) => d.chars(base62, 14),
    (s) => `keytool -genkey -storepass ${s} -keypass ${s} -alias a`,
  ),
  oneSecret(
    "nmcli",
    (d) => `${d.chars(base62, 12)}`,
    (s) => `nmcli device wifi connect Home password ${s}`,
  ),
  oneSecret(
    "session cookie, PHP",
    (d) => d.chars(lower + digits, 26),
    (s) => `curl -b 'PHPSESSID=${s}' https://acme.dev`,
  ),
  oneSecret(
    "session cookie, Java",
    (d) => d.chars(hex, 32).toUpperCase(),
    (s) => `GET /a;jsessionid=${s} HTTP/1.1`,
  ),
  oneSecret(
    "session id",
    (d) => d.chars(lower + digits, 32),
    (s) => `sessionid=${s}; Path=/`,
  ),
  oneSecret(
    "mnemonic",
    () => "legal winner thank year wave sausage worth useful legal winner thank yellow",
    (s) => `MNEMONIC="${s}"`,
  ),
  oneSecret(
    "seed phrase",
    () => "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
    (s) => `seed_phrase: ${s}\n`,
  ),
  oneSecret("password field", login, (s) => `<input type="password" name="p" id="p" value="${s}">`),
  oneSecret("said in German", login, (s) => `Das Passwort lautet ${s}, bitte nicht weitergeben.`),
  oneSecret("said", login, (s) => `the password is ${s} as always`),
  oneSecret("prompted", login, (s) => `Username: ann\nPassword:\n${s}\nWelcome`),
  oneSecret(
    "Fastly header",
    (d) => d.chars(urlSafe, 32),
    (s) => `Fastly-Key: ${s}\n`,
  ),
  oneSecret(
    "JFrog header",
    (d) => d.chars(base62, 73),
    (s) => `X-JFrog-Art-Api: ${s}\n`,
  ),
  oneSecret(
    "bearer",
    (d) => d.chars(base62, 32),
    (s) => `Authorization: Bearer ${s}\n`,
  ),
  oneSecret("basic", encodedPair, (s) => `-H "Authorization: Basic ${s}"`),
  oneSecret(
    "digest",
    (d) => d.chars(hex, 32),
    (s) => `Proxy-Authorization: Digest ${s}\n`,
  ),
  oneSecret("docker config", encodedPair, (s) => `{"auths":{"r.acme.dev":{"auth":"${s}"}}}`),
  oneSecret("netrc", login, (s) => `machine a.dev\n  login ann\n  password ${s}\n`),
  oneSecret(
    "wordpress salt",
    (d) => `${d.chars(`${base62}$%^&{}|;,?`, 40)}9}k^D`,
    (s) => `define('AUTH_SALT',        '${s}');`,
  ),
  oneSecret(
    "ADO.NET",
    (d) => d.chars(base62, 16),
    (s) => `Server=db;User Id=sa;Pwd=${s};Encrypt=true`,
  ),
  oneSecret("SQL", login, (s) => `ALTER USER app WITH ENCRYPTED PASSWORD '${s}';`),
];

export const tuned: Families = { passwords, tokens, notations, samples: [...issuers, ...keys, ...places] };

export const tunedPlaceholders = [
  "<password>",
  "<your-token>",
  "${VALUE}",
  "$VALUE",
  "xxxxxxxx",
  "********",
  "changeme",
  "your-secret-here",
  "process.env.VALUE",
  "vault:secret/data/app",
  "{{ .Values.value }}",
  "true",
  "example",
  "...",
];

export const tunedCode: readonly ((name: string, other: string) => string)[] = [
  (name) => `interface Options { readonly ${name}: string; readonly ${name}At?: number | null }`,
  (name) => `const ${name} = getToken();`,
  (name, other) => `const ${name} = await ${other}.read();`,
  (name) => `if (${name} === "") throw new Error("${name} is empty");`,
  (name) => `function check(${name}: string, isNew = false): boolean {`,
  (name, other) => `this.${name} = ${other}.${name};`,
  (name) => `return { ${name}, ok: true };`,
  (name) => `type ${name}Type = typeof ${name};`,
  (name, other) => `${name} = ${other}["${name}"]`,
  (name) => `const { ${name} } = this.#options;`,
  (name) => `z.object({ ${name}: z.string().min(8) })`,
  (name) => `${name}: ${name},`,
];

export const tunedHarmless: readonly (readonly [string, (d: Draw) => string])[] = [
  ["git log", (d) => `commit ${d.chars(hex, 40)}\n    store the token key in the vault`],
  ["git hash", (d) => `the password check came with ${d.chars(hex, 40)}`],
  ["lock file", (d) => `"node_modules/passport": {\n  "integrity": "sha512-${d.chars(base64, 86)}=="\n}`],
  ["cargo lock", (d) => `name = "token"\nchecksum = "${d.chars(hex, 64)}"`],
  ["uuid", (d) => `{"sessionId": "${uuid(d)}", "session_id": "${uuid(d)}"}`],
  ["image", (d) => `<img src="data:image/png;base64,iVBORw0KGgo${d.chars(base64, 200)}=">`],
  ["css", (d) => `.password-field{color:#${d.chars(hex, 6)};background:url(key-${d.chars(hex, 8)}.svg)}`],
  ["css hashes", (d) => `.key_${d.chars(base62, 5)}{} .token-${d.chars(lower + digits, 6)}{}`],
  ["versions", () => "token-types 6.0.0, js-tokens@9.0.1, passport 0.7.0, key-tree 1.29.0-rc.2"],
  ["test ids", (d) => `data-testid="password-input-${d.chars(digits, 3)}" id="token-list-${d.chars(digits, 2)}"`],
  ["bearer placeholder", () => "Authorization: Bearer <token>"],
  ["counts", () => "max_tokens: 4096, maxTokens=4096, token_count: 12, password_min_length: 12, secrets: 3"],
  ["ssh public key", (d) => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${d.chars(base64, 43)} ann@laptop`],
  [
    "certificate",
    (d) => `-----BEGIN CERTIFICATE-----\n${d.chars(base64, 64)}\n${d.chars(base64, 64)}\n-----END CERTIFICATE-----`,
  ],
  [
    "certificate without its beginning",
    (d) => `${d.chars(base64, 64)}\n${d.chars(base64, 64)}\n-----END CERTIFICATE-----`,
  ],
  [
    "certificate data",
    (d) => `client-certificate-data: ${encode(`-----BEGIN CERTIFICATE-----\n${d.chars(base64, 128)}`)}`,
  ],
  ["public key", (d) => `-----BEGIN PUBLIC KEY-----\n${d.chars(base64, 64)}\n-----END PUBLIC KEY-----`],
  ["public JWK", (d) => JSON.stringify({ kty: "EC", crv: "P-256", x: d.chars(urlSafe, 43), y: d.chars(urlSafe, 43) })],
  ["prose", () => "I forgot my password. The secret of a good token is that nobody knows the key."],
  [
    "advice",
    () => "Never commit passwords, tokens or private keys; use a password manager and an access key per machine.",
  ],
  [
    "rules",
    () => "A password must have 12 characters, a token is valid for 15 minutes, keys are rotated every 90 days.",
  ],
  [
    "primary key",
    (d) =>
      `primary_key: ${d.chars(hex, 32)}, partition_key=user#${d.chars(digits, 8)}, cache-key: v1-${d.chars(hex, 40)}`,
  ],
  [
    "addresses",
    () => "http://localhost:8080/@vite/client https://registry.npmjs.org:443/@scope/pkg git@github.com:a/b.git",
  ],
  [
    "address with @ in the path",
    () => "https://cdn.acme.dev:8443/img/logo@2x.png and https://a.dev/users/ann@acme.dev",
  ],
  ["docker users", () => "docker run -u 1000:1000 --user 1000:1000 curlimages/curl curl https://acme.dev"],
  ["curl without a user", () => "curl -fsSL https://acme.dev/install.sh | sh -s -- --unattended -o out:in"],
  [
    "signature in prose",
    () => "The signature of the function is (a: string, b: number) => void; signature=valid, Signature: none",
  ],
  ["seed", () => "seed: 42, random_seed=20251, seed = draw(7), --seed 7"],
  [
    "minified",
    () => "!function(e){var t=e.token,n=t?t.key:null;e.password=function(){return n},e.auth=e.auth||{secret:!1}}(a1);",
  ],
  [
    "file names",
    () => "src/auth/password-reset.ts src/token/refreshToken.test.ts docs/api-keys.md private_key_path=/etc/tls/a.pem",
  ],
  ["sql", () => "SELECT password_hash FROM users WHERE token_id = $1 AND secret_version > 3"],
  ["html", () => '<input type="password" name="password" autocomplete="current-password" placeholder="Password">'],
  [
    "reference",
    () =>
      "password: !vault |\n  token: ref+vault://a/b\nsecret: arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-b",
  ],
  ["types", () => "password: str, token: Optional[str] = None, apiKey: SecretStr, secret: Buffer, private_key: bytes"],
  [
    "labels",
    () => 'password: "Password", token: "Access token", secret: "Client secret", passwordHint: "At least 8 characters"',
  ],
  [
    "keyboard",
    () => "key: Enter, hotkey: ctrl+shift+p, keyCode=13, shortcut_key: F12, monkey: banana, turkey=sandwich",
  ],
];
