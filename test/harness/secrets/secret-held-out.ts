import { isEnv, isIdentifier, isOption, isPlain } from "./secret-cases.ts";
import type { Families, Harmless, Notation, Sample } from "./secret-cases.ts";
import { heldOutCommandLookAlikes, heldOutCommandSamples } from "./secret-commands-held-out.ts";
import { base62, encode, numbered, pem, pick, surrounded } from "./secret-draw.ts";

/**
 * Families that the rules were not made with: written before them, and measured only. A failure here is not mended for itself; what it
 * shows is added to the other families, and replaced here by something new.
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

const anywhere = ["using § for now", '{"value":"§"}', "X=§\n", "login('§')"];

const issuers: readonly (readonly [family: string, secret: string])[] = [
  ["alibaba", "LTAI«base62 20»"],
  ["adobe", "p8e-«low 32»"],
  ["clojars", "CLOJARS_«hex 60»"],
  ["duffel", "duffel_live_«url 43»"],
  ["dynatrace", "dt0c01.«caps 24».«caps 64»"],
  ["easypost", "EZAK«base62 54»"],
  ["frame.io", "fio-u-«url 64»"],
  ["hubspot", "pat-na1-«uuid»"],
  ["shippo", "shippo_live_«hex 40»"],
  ["prefect", "pnu_«low 36»"],
  ["readme", "rdme_«low 70»"],
  ["typeform", "tfp_«base62 59»"],
  ["nvidia", "nvapi-«url 64»"],
  ["openshift", "sha256~«url 43»"],
  ["github", "ghu_«base62 36»"],
  ["gitlab runner", "glrt-«url 20»"],
];

const samples: readonly Sample[] = [
  ...heldOutCommandSamples,
  ...issuers.map(([family, secret]): Sample => [family, secret, (s, d) => surrounded(d, pick(d, anywhere), s)]),
  ["plaid", "access-production-«uuid»", 'client.accounts({"access_token":"§"})'],
  ["curl, short options together", "«base62 16»", "curl -fsSLu deploy:§ https://nexus.acme.dev/a.tgz"],
  ["curl, proxy", "«base62 16»", 'curl --proxy-user "ann:§" -x proxy:3128 https://acme.dev'],
  [
    "signed CloudFront cookie address",
    (d) => d.chars(`${base62}~-_`, 172),
    "https://d1.cloudfront.net/v.mp4?Policy=e30_&Signature=§__&Key-Pair-Id=K2",
  ],
  ["GCS address", "«hex 256»", "GET https://storage.googleapis.com/b/o?X-Goog-Expires=900&X-Goog-Signature=§"],
  ["amqp address with @ in the password", "«base62 6»@«base62 8»", "AMQP_URL=amqps://worker:§@mq.internal:5671/vhost"],
  ["key with diff signs", (d) => pem(d, "EC PRIVATE KEY"), (secret) => secret.replaceAll(/^/gm, "+")],
  [
    "key with line numbers, without its end",
    (d) => pem(d, "RSA PRIVATE KEY").split("\n").slice(0, 9).join("\n"),
    (secret) => numbered(secret, (at) => `${at}|`),
  ],
  ["key without its beginning", (d) => pem(d, "OPENSSH PRIVATE KEY").split("\n").slice(4).join("\n"), "...\n§"],
  ["key in base64 at a name", (d) => encode(pem(d, "PRIVATE KEY")), "TLS_B64=§\n"],
  ["oct JWK", "«url 43»", '{ "kty": "oct", "alg": "HS256", "k": "§" }'],
  ["wireguard", "«base64 43»=", "[Interface]\nAddress = 10.0.0.2/24\nPrivateKey = §\n"],
];

export const heldOut: Families = { passwords, tokens, notations, samples };

export const heldOutPlaceholders = "<value>, ${SECRET_VALUE}, xxxxxxxxxxxx, changeme, REDACTED, null, TODO".split(", ");

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

export const heldOutHarmless: readonly Harmless[] = [
  ...heldOutCommandLookAlikes,
  ["git reflog", "«hex 7» HEAD@{0}: commit: rotate the signing key\n«hex 40»"],
  ["pnpm lock", "  /jsonwebtoken@9.0.2:\n    resolution: {integrity: sha512-«base64 86»==}"],
  ["poetry lock", '    {file = "secretstorage-3.3.3.tar.gz", hash = "sha256:«hex 64»"},'],
  ["nix", '  hash = "sha256-«base64 43»=";\n  rev = "«hex 40»";'],
  ["uuid of a task", "token bucket «uuid» refilled; auth request «uuid» took 3 ms"],
  ["webpack", "asset auth.«hex 20».chunk.js 12.1 KiB [emitted] [immutable] [minimized] (name: auth)"],
  ["css modules", ".token_«base62 5» { color: #«hex 6» } .password__«base62 5» {}"],
  ["image", '{"token": null, "avatar": "data:image/webp;base64,UklGR«base64 240»"}'],
  ["ssh public key", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB«base64 344»== deploy-key@ci"],
  ["pgp public", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENB«base64 58»\n-----END PGP PUBLIC KEY BLOCK-----"],
  ["public key attribute", 'publicKey: "MCowBQYDK2VwAyEA«base64 43»="'],
  ["ulid", "session 01J«0123456789ABCDEFGHJKMNPQRSTVWXYZ 23» of chat ses_01J«0123456789ABCDEFGHJKMNPQRSTVWXYZ 23»"],
  ["numbers", "max_output_tokens=8192 num_tokens: 12000, password_attempts=3, token_count: 4711, key_size=4096"],
  ["times", "password_changed_at: 2026-03-01T10:00:00Z, token_expires: 2027-01-01, secret_rotation_days: 90"],
  [
    "prose",
    "We store passwords hashed; a session token lasts 15 minutes, and the api key of a project can be rotated twice a day.",
  ],
  ["question", "Why does login fail with 'invalid credentials' when the password is correct and the token is fresh?"],
  [
    "stack",
    "    at TokenService.verifyAccessToken (/app/src/auth/token-service.ts:118:21)\n    at async authenticate (/app/src/auth/password.ts:44:9)",
  ],
  ["junit", '<testcase classname="auth.PasswordTest" name="rejectsExpiredToken" time="0.«digits 3»"/>'],
  ["makefile", "check-secrets: ; @gitleaks detect --redact --no-banner\ntoken-test: build\n\t$(RUN) test/token"],
  [
    "sql",
    "ALTER TABLE users ADD COLUMN password_hash text NOT NULL, ADD COLUMN api_key_id uuid REFERENCES api_keys(id);",
  ],
  [
    "openapi",
    "securitySchemes:\n  apiKey:\n    type: apiKey\n    in: header\n    name: X-Api-Key\n  bearer:\n    type: http\n    scheme: bearer",
  ],
  ["versions", "jsonwebtoken@9.0.2 passport-local@1.0.0 @types/passport@1.0.16 keytar@7.9.0 secretlint@12.0.0-rc.1"],
  ["react", "<Row key={item.id} token={theme.token} auth={auth} secret={false} />"],
  ["js", "var t=e.token,n=e.password,r=e.auth;t&&(o.token=t),n?o.password=n:delete o.password,r=r||{secret:!0,key:n};"],
];
