import { isEnv, isIdentifier, isOption, isPlain, type Families, type Harmless, type Notation } from "./secret-cases.ts";
import { base64, encode } from "./secret-draw.ts";
import { commandLookAlikes, commandSamples } from "./secret-commands.ts";
import { samples } from "./secret-samples.ts";

/** The families that the rules were made with. */

const passwords = [
  "password, db password, passwd, admin pwd, db pw, pass phrase, key passphrase, user pass, wpa psk",
  "mysql root password, proxy pass, pass word",
].flatMap((names) => names.split(", "));

const tokens = [
  "secret, token, access token, api key, access key, private key, client secret, auth token",
  "secret access key, signing secret, session token, secret key, personal access token",
  "service credential, sendgrid key, session secret, app key",
].flatMap((names) => names.split(", "));

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

export const tuned: Families = { passwords, tokens, notations, samples: [...samples, ...commandSamples] };

export const tunedPlaceholders = [
  "<password>, <your-token>, ${VALUE}, $VALUE, xxxxxxxx, ********, changeme, your-secret-here",
  "process.env.VALUE, vault:secret/data/app, {{ .Values.value }}, true, example, ...",
].flatMap((names) => names.split(", "));

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

export const tunedHarmless: readonly Harmless[] = [
  ...commandLookAlikes,
  ["git log", "commit «hex 40»\n    store the token key in the vault"],
  ["git hash", "the password check came with «hex 40»"],
  ["lock file", '"node_modules/passport": {\n  "integrity": "sha512-«base64 86»=="\n}'],
  ["cargo lock", 'name = "token"\nchecksum = "«hex 64»"'],
  ["uuid", '{"sessionId": "«uuid»", "session_id": "«uuid»"}'],
  ["image", '<img src="data:image/png;base64,iVBORw0KGgo«base64 200»=">'],
  ["css", ".password-field{color:#«hex 6»;background:url(key-«hex 8».svg)}"],
  ["css hashes", ".key_«base62 5»{} .token-«low 6»{}"],
  ["versions", "token-types 6.0.0, js-tokens@9.0.1, passport 0.7.0, key-tree 1.29.0-rc.2"],
  ["test ids", 'data-testid="password-input-«digits 3»" id="token-list-«digits 2»"'],
  ["bearer placeholder", "Authorization: Bearer <token>"],
  ["counts", "max_tokens: 4096, maxTokens=4096, token_count: 12, password_min_length: 12, secrets: 3"],
  ["ssh public key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI«base64 43» ann@laptop"],
  ["certificate", "-----BEGIN CERTIFICATE-----\n«base64 64»\n«base64 64»\n-----END CERTIFICATE-----"],
  ["certificate without its beginning", "«base64 64»\n«base64 64»\n-----END CERTIFICATE-----"],
  ["cert data", (d) => `client-certificate-data: ${encode(`-----BEGIN CERTIFICATE-----\n${d.chars(base64, 128)}`)}`],
  ["public key", "-----BEGIN PUBLIC KEY-----\n«base64 64»\n-----END PUBLIC KEY-----"],
  ["public JWK", '{"kty":"EC","crv":"P-256","x":"«url 43»","y":"«url 43»"}'],
  ["prose", "I forgot my password. The secret of a good token is that nobody knows the key."],
  ["advice", "Never commit passwords, tokens or private keys; use a password manager and an access key per machine."],
  ["rules", "A password must have 12 characters, a token is valid for 15 minutes, keys are rotated every 90 days."],
  ["primary key", "primary_key: «hex 32», partition_key=user#«digits 8», cache-key: v1-«hex 40»"],
  ["addresses", "http://localhost:8080/@vite/client https://registry.npmjs.org:443/@scope/pkg git@github.com:a/b.git"],
  ["address with @ in the path", "https://cdn.acme.dev:8443/img/logo@2x.png and https://a.dev/users/ann@acme.dev"],
  ["docker users", "docker run -u 1000:1000 --user 1000:1000 curlimages/curl curl https://acme.dev"],
  ["curl without a user", "curl -fsSL https://acme.dev/install.sh | sh -s -- --unattended -o out:in"],
  ["signature", "The signature of the function is (a: string, b: number) => void; signature=valid, Signature: none"],
  ["seed", "seed: 42, random_seed=20251, seed = draw(7), --seed 7"],
  ["js", "!function(e){var t=e.token,n=t?t.key:null;e.password=function(){return n},e.auth=e.auth||{secret:!1}}(a1);"],
  [
    "file names",
    "src/auth/password-reset.ts src/token/refreshToken.test.ts docs/api-keys.md private_key_path=/etc/tls/a.pem",
  ],
  ["sql", "SELECT password_hash FROM users WHERE token_id = $1 AND secret_version > 3"],
  ["html", '<input type="password" name="password" autocomplete="current-password" placeholder="Password">'],
  [
    "reference",
    "password: !vault |\n  token: ref+vault://a/b\nsecret: arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-b",
  ],
  ["types", "password: str, token: Optional[str] = None, apiKey: SecretStr, secret: Buffer, private_key: bytes"],
  ["ui", 'password: "Password", token: "Access token", secret: "Client secret", passwordHint: "At least 8 characters"'],
  ["keyboard", "key: Enter, hotkey: ctrl+shift+p, keyCode=13, shortcut_key: F12, monkey: banana, turkey=sandwich"],
];
