import { isEnv, isIdentifier, isOption, isPlain, pick, type Families, type Notation } from "./secret-cases.ts";
import { base62, base64, digits, encode, hex, lower, pem, upper, urlSafe, uuid, type Draw } from "./secret-draw.ts";

/**
 * Families that the rules were not made with: written before them, and measured only. A failure here is not mended for itself; what it
 * shows is added to the other families, and replaced here by something new.
 */

const passwords = ["smtp password", "ldap bind pw", "vpn pass phrase", "sudo pass", "wifi psk", "keystore passwd"];
const tokens = [
  "refresh token",
  "bot token",
  "stripe secret key",
  "datadog app key",
  "webhook signing key",
  "consumer secret",
  "encryption key",
  "vault token",
];

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

const issued = (family: string, make: (d: Draw) => string): Families["samples"][number] => [
  family,
  (d) => {
    const secret = make(d);
    const around = pick(d, [
      (s: string) => `using ${s} for now`,
      (s: string) => `{"value":"${s}"}`,
      (s: string) => `X=${s}\n`,
      (s: string) => `login('${s}')`,
    ]);
    return { text: around(secret), secret };
  },
];

const samples: Families["samples"] = [
  issued("alibaba", (d) => `LTAI${d.chars(base62, 20)}`),
  issued("adobe", (d) => `p8e-${d.chars(lower + digits, 32)}`),
  issued("clojars", (d) => `CLOJARS_${d.chars(hex, 60)}`),
  issued("duffel", (d) => `duffel_live_${d.chars(urlSafe, 43)}`),
  issued("dynatrace", (d) => `dt0c01.${d.chars(upper + digits, 24)}.${d.chars(upper + digits, 64)}`),
  issued("easypost", (d) => `EZAK${d.chars(base62, 54)}`),
  issued("frame.io", (d) => `fio-u-${d.chars(urlSafe, 64)}`),
  issued("hubspot", (d) => `pat-na1-${uuid(d)}`),
  issued("shippo", (d) => `shippo_live_${d.chars(hex, 40)}`),
  issued("prefect", (d) => `pnu_${d.chars(lower + digits, 36)}`),
  issued("readme", (d) => `rdme_${d.chars(lower + digits, 70)}`),
  issued("typeform", (d) => `tfp_${d.chars(base62, 59)}`),
  issued("nvidia", (d) => `nvapi-${d.chars(urlSafe, 64)}`),
  issued("openshift", (d) => `sha256~${d.chars(urlSafe, 43)}`),
  issued("github", (d) => `ghu_${d.chars(base62, 36)}`),
  issued("gitlab runner", (d) => `glrt-${d.chars(urlSafe, 20)}`),
  [
    "plaid",
    (d) => {
      const secret = `access-production-${uuid(d)}`;
      return { text: `client.accounts(${JSON.stringify({ access_token: secret })})`, secret };
    },
  ],
  [
    "curl, short options together",
    (d) => {
      const secret = d.chars(base62, 16);
      return { text: `curl -fsSLu deploy:${secret} https://nexus.acme.dev/a.tgz`, secret };
    },
  ],
  [
    "curl, proxy",
    (d) => {
      const secret = d.chars(base62, 16);
      return { text: `curl --proxy-user "ann:${secret}" -x proxy:3128 https://acme.dev`, secret };
    },
  ],
  [
    "signed CloudFront cookie address",
    (d) => {
      const secret = d.chars(`${base62}~-_`, 172);
      return { text: `https://d1.cloudfront.net/v.mp4?Policy=e30_&Signature=${secret}__&Key-Pair-Id=K2`, secret };
    },
  ],
  [
    "signed GCS address, version 4",
    (d) => {
      const secret = d.chars(hex, 256);
      return { text: `GET https://storage.googleapis.com/b/o?X-Goog-Expires=900&X-Goog-Signature=${secret}`, secret };
    },
  ],
  [
    "amqp address with @ in the password",
    (d) => {
      const secret = `${d.chars(base62, 6)}@${d.chars(base62, 8)}`;
      return { text: `AMQP_URL=amqps://worker:${secret}@mq.internal:5671/vhost`, secret };
    },
  ],
  [
    "key with diff signs",
    (d) => {
      const secret = pem(d, "EC PRIVATE KEY");
      return { text: secret.replaceAll(/^/gm, "+"), secret };
    },
  ],
  [
    "key with line numbers, without its end",
    (d) => {
      const secret = pem(d, "RSA PRIVATE KEY").split("\n").slice(0, 9).join("\n");
      return {
        text: secret
          .split("\n")
          .map((line, at) => `${at + 1}|${line}`)
          .join("\n"),
        secret,
      };
    },
  ],
  [
    "key without its beginning",
    (d) => {
      const secret = pem(d, "OPENSSH PRIVATE KEY").split("\n").slice(4).join("\n");
      return { text: `...\n${secret}`, secret };
    },
  ],
  [
    "key in base64 at a name",
    (d) => {
      const secret = encode(pem(d, "PRIVATE KEY"));
      return { text: `TLS_B64=${secret}\n`, secret };
    },
  ],
  [
    "oct JWK",
    (d) => {
      const secret = d.chars(urlSafe, 43);
      return { text: `{ "kty": "oct", "alg": "HS256", "k": "${secret}" }`, secret };
    },
  ],
  [
    "wireguard",
    (d) => {
      const secret = `${d.chars(base64, 43)}=`;
      return { text: `[Interface]\nAddress = 10.0.0.2/24\nPrivateKey = ${secret}\n`, secret };
    },
  ],
];

export const heldOut: Families = { passwords, tokens, notations, samples };

export const heldOutPlaceholders = [
  "<value>",
  "${SECRET_VALUE}",
  "xxxxxxxxxxxx",
  "changeme",
  "REDACTED",
  "null",
  "TODO",
];

export const heldOutCode: readonly ((name: string, other: string) => string)[] = [
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

export const heldOutHarmless: readonly (readonly [string, (d: Draw) => string])[] = [
  ["git reflog", (d) => `${d.chars(hex, 7)} HEAD@{0}: commit: rotate the signing key\n${d.chars(hex, 40)}`],
  ["pnpm lock", (d) => `  /jsonwebtoken@9.0.2:\n    resolution: {integrity: sha512-${d.chars(base64, 86)}==}`],
  ["poetry lock", (d) => `    {file = "secretstorage-3.3.3.tar.gz", hash = "sha256:${d.chars(hex, 64)}"},`],
  ["nix", (d) => `  hash = "sha256-${d.chars(base64, 43)}=";\n  rev = "${d.chars(hex, 40)}";`],
  ["uuid of a task", (d) => `token bucket ${uuid(d)} refilled; auth request ${uuid(d)} took 3 ms`],
  ["webpack", (d) => `asset auth.${d.chars(hex, 20)}.chunk.js 12.1 KiB [emitted] [immutable] [minimized] (name: auth)`],
  [
    "css modules",
    (d) => `.token_${d.chars(base62, 5)} { color: #${d.chars(hex, 6)} } .password__${d.chars(base62, 5)} {}`,
  ],
  ["image", (d) => `{"token": null, "avatar": "data:image/webp;base64,UklGR${d.chars(base64, 240)}"}`],
  ["ssh public key", (d) => `ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB${d.chars(base64, 344)}== deploy-key@ci`],
  [
    "pgp public",
    (d) => `-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENB${d.chars(base64, 58)}\n-----END PGP PUBLIC KEY BLOCK-----`,
  ],
  ["public key attribute", (d) => `publicKey: "MCowBQYDK2VwAyEA${d.chars(base64, 43)}="`],
  [
    "ulid",
    (d) =>
      `session 01J${d.chars("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 23)} of chat ses_01J${d.chars("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 23)}`,
  ],
  ["numbers", () => "max_output_tokens=8192 num_tokens: 12000, password_attempts=3, token_count: 4711, key_size=4096"],
  ["times", () => "password_changed_at: 2026-03-01T10:00:00Z, token_expires: 2027-01-01, secret_rotation_days: 90"],
  [
    "prose",
    () =>
      "We store passwords hashed; a session token lasts 15 minutes, and the api key of a project can be rotated twice a day.",
  ],
  [
    "question",
    () => "Why does login fail with 'invalid credentials' when the password is correct and the token is fresh?",
  ],
  [
    "stack",
    () =>
      "    at TokenService.verifyAccessToken (/app/src/auth/token-service.ts:118:21)\n    at async authenticate (/app/src/auth/password.ts:44:9)",
  ],
  [
    "junit",
    (d) => `<testcase classname="auth.PasswordTest" name="rejectsExpiredToken" time="0.${d.chars(digits, 3)}"/>`,
  ],
  ["makefile", () => "check-secrets: ; @gitleaks detect --redact --no-banner\ntoken-test: build\n\t$(RUN) test/token"],
  [
    "sql",
    () =>
      "ALTER TABLE users ADD COLUMN password_hash text NOT NULL, ADD COLUMN api_key_id uuid REFERENCES api_keys(id);",
  ],
  [
    "openapi",
    () =>
      "securitySchemes:\n  apiKey:\n    type: apiKey\n    in: header\n    name: X-Api-Key\n  bearer:\n    type: http\n    scheme: bearer",
  ],
  [
    "versions",
    () => "jsonwebtoken@9.0.2 passport-local@1.0.0 @types/passport@1.0.16 keytar@7.9.0 secretlint@12.0.0-rc.1",
  ],
  ["react", () => "<Row key={item.id} token={theme.token} auth={auth} secret={false} />"],
  [
    "minified",
    () => "var t=e.token,n=e.password,r=e.auth;t&&(o.token=t),n?o.password=n:delete o.password,r=r||{secret:!0,key:n};",
  ],
];
