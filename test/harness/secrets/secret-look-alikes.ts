import { draw, drawn, encode, formsIn, lower, type Pattern } from "./secret-draw.ts";

/** What looks like a secret and is none. It must stay character for character. */
export type LookAlike = Readonly<{ name: string; text: string }>;

const hashes: readonly Pattern[] = [
  "commit «hex 40»\nAuthor: Ann <ann@acme.dev>\n\n    fix token refresh",
  "fixed the token parser in «hex 40», see there",
  "index «hex 7»..«hex 7» 100644\n--- a/src/auth/token.ts",
  "100644 blob «hex 40»\tsrc/secrets/password-policy.ts",
  "FROM node:24@sha256:«hex 64»",
  '{"id": "«uuid»", "sessionId": "«uuid»"}',
  "the token bucket of session «uuid» is full",
  "msg_«base62 24» toolu_«base62 24» req_«base62 24»",
  '"integrity": "sha512-«base64 86»==",\n"license": "MIT"',
  '"node_modules/js-tokens": {"version": "9.0.1", "integrity": "sha512-«base64 86»=="}',
  "  checksum: 10c0/«hex 128»\n  languageName: node",
  "github.com/golang-jwt/jwt/v5 v5.2.1 h1:«base64 43»=",
  'name = "secrecy"\nversion = "0.8.0"\nchecksum = "«hex 64»"',
  '<script src="/a.js" integrity="sha384-«base64 64»" crossorigin></script>',
  'etag: "«hex 32»-3"\ncache-control: max-age=0',
  "dist/assets/index-«url 8».js   142.31 kB\ndist/assets/auth-«hex 8».css",
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI«base64 43» ann@laptop",
  "-----BEGIN CERTIFICATE-----\nMIID«base64 60»\n«base64 64»\n-----END CERTIFICATE-----",
  "-----BEGIN PUBLIC KEY-----\nMIIB«base64 60»\n«base64 64»\n-----END PUBLIC KEY-----",
  "The key fingerprint is:\nSHA256:«base64 43» ann@laptop",
  'expect(sha256("token")).toBe("«hex 64»");',
  "traceparent: 00-«hex 32»-«hex 16»-01",
];

const encoded: readonly Pattern[] = [
  '<img src="data:image/png;base64,iVBORw0KGgo«base64 400»==">',
  '@font-face{src:url(data:font/woff2;base64,d09GMgAB«base64 300») format("woff2")}',
  (d) =>
    `//# sourceMappingURL=data:application/json;base64,${encode(`{"version":3,"sources":["${d.chars(lower, 20)}"],"mappings":"AAAA"}`)}`,
  '{"token":null,"icon":"data:image/gif;base64,R0lGODlh«base64 200»"}',
  '{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQ«base64 300»"}',
  '{"next_page_token": "«url 40»", "items": []}',
  'nextToken: "«base64 44»"',
  "SENTRY_DSN=https://«hex 32»@o«digits 6».ingest.sentry.io/«digits 7»",
  "https://acme.dev/search?q=what%20is%20a%20token%3F&lang=en#results",
  String.raw`"\u0070\u0061\u0073\u0073\u0077\u006f\u0072\u0064": "\u00e9t\u00e9"`,
];

/** Commands, prompts, settings and code beside the words that tell a secret. */
const others: readonly Pattern[] = [
  ".password-field{color:#«hex 6»;background:url(key-«hex 8».svg)}",
  ".key_«base62 5»{} .token-«low 6»{}",
  "token-types 6.0.0, js-tokens@9.0.1, passport 0.7.0, key-tree 1.29.0-rc.2",
  'data-testid="password-input-«digits 3»" id="token-list-«digits 2»"',
  "max_tokens: 4096, maxTokens=4096, token_count: 12, password_min_length: 12, secrets: 3",
  "«base64 64»\n«base64 64»\n-----END CERTIFICATE-----",
  '{"kty":"EC","crv":"P-256","x":"«url 43»","y":"«url 43»"}',
  "Never commit passwords, tokens or private keys; use a password manager and an access key per machine.",
  "A password must have 12 characters, a token is valid for 15 minutes, keys are rotated every 90 days.",
  "https://cdn.acme.dev:8443/img/logo@2x.png and https://a.dev/users/ann@acme.dev",
  "The signature of the function is (a: string, b: number) => void; signature=valid, Signature: none",
  "seed: 42, random_seed=20251, seed = draw(7), --seed 7",
  "!function(e){var t=e.token,n=t?t.key:null;e.password=function(){return n},e.auth=e.auth||{secret:!1}}(a1);",
  "src/auth/password-reset.ts src/token/refreshToken.test.ts docs/api-keys.md private_key_path=/etc/tls/a.pem",
  '<input type="password" name="password" autocomplete="current-password" placeholder="Password">',
  "password: !vault |\n  token: ref+vault://a/b\nsecret: arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-b",
  "password: str, token: Optional[str] = None, apiKey: SecretStr, secret: Buffer, private_key: bytes",
  'password: "Password", token: "Access token", secret: "Client secret", passwordHint: "At least 8 characters"',
  "key: Enter, hotkey: ctrl+shift+p, keyCode=13, shortcut_key: F12, monkey: banana, turkey=sandwich",
  "serve --token-limit 5 --max-tokens 4096 --max_tokens=4096 --tokenizer=gpt2 --tokenizer gpt2",
  "acmectl login --password-file ./pw1.txt --token-file=/run/secrets/t1 --key-file key2.pem",
  "docker login --password-stdin -u ci; acmectl push --no-token --use-auth --skip-secrets v1.2.3",
  'acmectl --token $TOKEN --password "$PW1" --api-key ${API_KEY} --secret %SECRET1% --token $(cat t1)',
  "acmectl --token <token> --password <your-password1> --api-key YOUR_API_KEY1 --secret ****",
  "run: acmectl --token ${{ secrets.T1 }} --password=${{ secrets.PW }}",
  "Password:\n$ ls -la\nPassword:\nPermission denied, please try again.\n",
  "mysql -u root -p shop; mysql -p -h db1 shop; mysql -P3306 -h db1",
  "mkdir -p build2/a; docker run -p 8080:80 nginx; ssh -p 2222 ann@a.dev; cp -p a1 b2; psql -p 5433",
  "docker run --name mysql -p3306:3306 x; wget a.zip -P out2024; sshpass -e scp -p copy2024 a:/",
  "redis-cli -p 6379 -n 2 ping; requirepass <password>\n# requirepass foobared\n",
  '--password <pw>   the password of the user\n--token string   token to use (default "")\n',
  "usage: acmectl [--token TOKEN] [--password PASSWORD] [--api-key API_KEY] FILE",
  "--token-path src/auth/token2.ts --secret ./secrets/app1.json --password ~/.pw/a1.txt",
  "Set-Cookie: theme=dark; Path=/\nSet-Cookie: lang=en-US; Max-Age=31536000\nCookie: consent=yes; v=2",
  "jdbc:oracle:thin:@db.internal:1521:ORCL jdbc:oracle:thin:@//db1:1521/shop",
  "openssl rsa -passin file:pw1.txt -passin env:PW1 -passout stdin -in a1.pem",
  "Unseal Key 1: <key>\nUnseal Progress: 1/3\nUnseal Nonce: «uuid»",
  "kubectl create secret generic db --from-file=password=./pw1.txt; kubectl get secret db-secret2 -o yaml",
  "--grep password --testNamePattern token2 --filter secret1 --auth basic --token-type bearer2",
  "token bucket «uuid» refilled; auth request «uuid» took 3 ms",
  "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENB«base64 58»\n-----END PGP PUBLIC KEY BLOCK-----",
  'publicKey: "MCowBQYDK2VwAyEA«base64 43»="',
  "session 01J«0123456789ABCDEFGHJKMNPQRSTVWXYZ 23» of chat ses_01J«0123456789ABCDEFGHJKMNPQRSTVWXYZ 23»",
  "password_changed_at: 2026-03-01T10:00:00Z, token_expires: 2027-01-01, secret_rotation_days: 90",
  "    at TokenService.verifyAccessToken (/app/src/auth/token-service.ts:118:21)\n    at async authenticate (/app/src/auth/password.ts:44:9)",
  "ALTER TABLE users ADD COLUMN password_hash text NOT NULL, ADD COLUMN api_key_id uuid REFERENCES api_keys(id);",
  "securitySchemes:\n  apiKey:\n    type: apiKey\n    in: header\n    name: X-Api-Key\n  bearer:\n    type: http\n    scheme: bearer",
  "<Row key={item.id} token={theme.token} auth={auth} secret={false} />",
  'mysql -u root -p$PW1 shop; mysql -p"${DB_PW1}"; redis-cli -a $REDIS_PW2; sshpass -p $P1 ssh a',
  "curl -u user:pass https://acme.dev; --token xxxxx1 --secret your-secret-1 --password ********",
  "Password: forgot? Click here to reset2. Token: expired. Secret: none",
  "Enter passphrase for key '/home/ann/.ssh/id_ed25519':\nPermission denied (publickey).\n",
  "password:\n  minLength: 12\ntoken:\n  ttl: 15m\nsecret:\n  name: db-secret2\n",
  "rsync -p22 a b; ssh -p2222 a; nmap -p1-1024 10.0.0.5; tar -xpf a1.tar; unzip -p a.zip b2",
  'flag.StringVar(&token, "token", "", "API token v2")',
  'program.option("--token <token>", "the token of v2").option("-p, --password [pw]", "password")',
  "--password, -p  Password of the user  [string] [required]\n--token  Token for v2  [string]",
];

const inForms = formsIn("look-alike-forms.txt");

export function lookAlikes(seed: number): LookAlike[] {
  const d = draw(seed);
  const texts = [...hashes, ...encoded, ...others].map((pattern) => drawn(d, pattern));
  return [...texts, ...inForms].map((text) => ({ name: text.slice(0, 60), text }));
}
