import { draw, drawn, encode, lower, type Pattern } from "./secret-draw.ts";

/** What looks like a secret and is none. It must stay character for character. */
export interface LookAlike {
  readonly name: string;
  readonly text: string;
}

type Made = readonly [name: string, pattern: Pattern];

const hashes: readonly Made[] = [
  ["git log", "commit «hex 40»\nAuthor: Ann <ann@acme.dev>\n\n    fix token refresh"],
  ["git hash after the word token", "fixed the token parser in «hex 40», see there"],
  ["git diff index", "index «hex 7»..«hex 7» 100644\n--- a/src/auth/token.ts"],
  ["git tree", "100644 blob «hex 40»\tsrc/secrets/password-policy.ts"],
  ["sha256 sums", "«hex 64»  shim-0.1.0.tgz\n«hex 64»  keys.tar.gz"],
  ["docker digest", "FROM node:24@sha256:«hex 64»"],
  ["uuid", '{"id": "«uuid»", "sessionId": "«uuid»"}'],
  ["uuid near a word", "the token bucket of session «uuid» is full"],
  ["prefixed ids", "msg_«base62 24» toolu_«base62 24» req_«base62 24»"],
  ["lock file, sha512", '"integrity": "sha512-«base64 86»==",\n"license": "MIT"'],
  ["lock file, token package", '"node_modules/js-tokens": {"version": "9.0.1", "integrity": "sha512-«base64 86»=="}'],
  ["yarn checksum", "  checksum: 10c0/«hex 128»\n  languageName: node"],
  ["go.sum", "github.com/golang-jwt/jwt/v5 v5.2.1 h1:«base64 43»="],
  ["cargo lock", 'name = "secrecy"\nversion = "0.8.0"\nchecksum = "«hex 64»"'],
  ["subresource integrity", '<script src="/a.js" integrity="sha384-«base64 64»" crossorigin></script>'],
  ["etag", 'etag: "«hex 32»-3"\ncache-control: max-age=0'],
  ["build file names", "dist/assets/index-«url 8».js   142.31 kB\ndist/assets/auth-«hex 8».css"],
  ["public ssh key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI«base64 43» ann@laptop"],
  ["certificate", "-----BEGIN CERTIFICATE-----\nMIID«base64 60»\n«base64 64»\n-----END CERTIFICATE-----"],
  ["public key", "-----BEGIN PUBLIC KEY-----\nMIIB«base64 60»\n«base64 64»\n-----END PUBLIC KEY-----"],
  ["key fingerprint", "The key fingerprint is:\nSHA256:«base64 43» ann@laptop"],
  ["expected digest in a test", 'expect(sha256("token")).toBe("«hex 64»");'],
  ["contract address", 'const token = "0x«hex 40»";'],
  ["trace header", "traceparent: 00-«hex 32»-«hex 16»-01"],
];

const encoded: readonly Made[] = [
  ["image in a data URI", '<img src="data:image/png;base64,iVBORw0KGgo«base64 400»==">'],
  ["font in css", '@font-face{src:url(data:font/woff2;base64,d09GMgAB«base64 300») format("woff2")}'],
  [
    "source map",
    (d) =>
      `//# sourceMappingURL=data:application/json;base64,${encode(`{"version":3,"sources":["${d.chars(lower, 20)}"],"mappings":"AAAA"}`)}`,
  ],
  ["token null beside an image", '{"token":null,"icon":"data:image/gif;base64,R0lGODlh«base64 200»"}'],
  ["base64 of a tool result", '{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQ«base64 300»"}'],
  ["cursor", '{"next_page_token": "«url 40»", "items": []}'],
  ["continuation", 'nextToken: "«base64 44»"'],
  ["sentry address", "SENTRY_DSN=https://«hex 32»@o«digits 6».ingest.sentry.io/«digits 7»"],
  ["percent-encoded text", "https://acme.dev/search?q=what%20is%20a%20token%3F&lang=en#results"],
  ["escaped unicode", String.raw`"\u0070\u0061\u0073\u0073\u0077\u006f\u0072\u0064": "\u00e9t\u00e9"`],
];

const placeholders: readonly string[] = [
  "ANTHROPIC_API_KEY=YOUR_API_KEY\n",
  "API_KEY=<your-api-key>\nSECRET=\nTOKEN=changeme\n",
  "OPENAI_API_KEY=sk-...\nGITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
  "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
  "const token = process.env.GITHUB_TOKEN;",
  "const apiKey = process.env['API_KEY'] ?? config.apiKey;",
  "password = os.environ['DB_PASSWORD']",
  "env:\n  TOKEN: ${{ secrets.NPM_TOKEN }}\n  PASSWORD: ${DB_PASSWORD}\n",
  "password: {{ .Values.db.password }}\nsecret: !Ref DbSecret\n",
  "DATABASE_URL=postgres://user:password@localhost:5432/app",
  "postgresql://${DB_USER}:${DB_PASSWORD}@${DB_HOST}/app",
  "https://<user>:<token>@github.com/acme/shop.git",
  "curl -H 'Authorization: Bearer $TOKEN' https://api.acme.dev",
  "Authorization: Bearer <token>\nX-Api-Key: ${API_KEY}\n",
  'OP_TOKEN="op://vault/github/token"',
  "--password-stdin --token <token> --api-key=$API_KEY",
  "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
  '"password": "********", "secret": "[hidden]", "token": "xxxxxxxx"',
  "POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password",
  "private_key_path = ~/.ssh/id_ed25519\nsecret_name: prod/shop/db\n",
  "valueFrom:\n  secretKeyRef:\n    name: db-credentials\n    key: password\n",
];

const code: readonly string[] = [
  "interface Login { user: string; password: string; token?: string | null }",
  "function check(password: string, secret: Buffer): boolean {",
  "def login(user: str, password: str = None, token: Optional[str] = None):",
  "const password = await prompt('Password: ');\nlogin({ user, password, token: createToken(user) });",
  'if (token === undefined || token.type !== "string") throw new TokenError("token missing");',
  "const { accessToken, refreshToken } = await getTokens(request.headers.authorization);",
  '<input type="password" name="password" id="password" placeholder="Password" autocomplete="current-password">',
  '{"password": "Password", "forgotPassword": "Forgot your password?", "passwordHint": "At least 8 characters"}',
  "errors: { password: 'Password must have at least 12 characters', token: 'Token expired 5 minutes ago' }",
  "usage: { input_tokens: 150000, output_tokens: 2048, cache_read_input_tokens: 91234 }, max_tokens: 4096",
  "maxTokens=200000 tokenLimit=150000 keyLength: 2048 passwordMinLength = 12",
  "case TokenKind.StringLiteral: return { token: SyntaxKind.StringKeyword, key: node.key };",
  "const key = `${prefix}:${id}`; cache.set(key, value); Object.keys(map).map((key) => map[key]);",
  "<Row key={item.id} apiKey={apiKey} onPress={handlePress} token={token} />",
  "!function(e,t){var n=t.token,r=e.auth||{};r.secret=n?n.a:void 0,e.password=function(){return r}}(window,a1);",
  "import { parseTokenFromAuthorizationHeaderV2 } from '../../support/authentication/parseTokenFromAuthorizationHeaderV2.ts';",
  "authenticateUserWithOAuth2AndRefreshTokenRotation(authorizationServerMetadataEndpointUrl)",
  "the tokens come from createOpenAPI3DocumentSchemaValidatorFactory2 and are cached",
  ".sk-folding-cube .sk-cube:before { color: #1a2b3c; background-color: #A1B2C3D4; } .sk-circle-fade-dot-2 {}",
  "=== RUN   TestStore_Write\n--- PASS: TestStore_Write (0.00s)\n    --- PASS: TestStore_Write/of_0_bytes (0.00s)\nPASS",
  "PASS  test/node/token-store.test.ts (12 tests) 345ms\nPASS: 48, FAIL: 0, pass: 100%",
  "PWD=/home/ann/projects/shim\nOLDPWD=/home/ann\nSSH_AUTH_SOCK=/tmp/ssh-AbC123def456/agent.4711\n",
  "/Users/ann/Library/Application Support/tokens/9f86d081884c7d659a2f/cache.json: 12 files",
  "C:\\Users\\ann\\AppData\\Local\\Temp\\secret-tests\\n1\\token.txt",
  "git@github.com:acme/shop.git https://npm.example.com:443/@scope/pkg http://localhost:8080/@vite/client",
  "https://acme.dev/reset-password?step=2&token_type=bearer&grant_type=client_credentials",
  "Author: Bob Secretary <bob@acme.dev> is the author of authentication, passes the passenger keynote",
  "token_type: bearer, auth: oauth2, authorization: basic, secret: false, password: required",
  "task-0123456789-abcdef risk-assessment-2025-final-v2 disk-usage-2025-10-30T12-00-00",
  "gh_pages npm_config_registry hf_transfer sk-learn re_compile pat_match key-value-store-2024",
  "model: claude-sonnet-4-5-20250929, tokenizer: cl100k_base, key: us-east-1, auth: v1.29.0-rc.2",
  "docker run -u 1000:1000 --user 1000:1000 acme/app; sort -u keys.txt; chown user:group secret.txt",
  "echo $PASSWORD | base64; export TOKEN=$(cat token.txt); PASS=`pass show db`; read -s password",
  "SELECT password_hash, token_id FROM users WHERE api_key_id = ? AND secret IS NOT NULL;",
  "I forgot my password, the token is invalid, and the secret is that there is no key to the api.",
  "Passwords are hashed with argon2id; the token is base64-encoded and the password is sha256-hashed.",
];

/** At least 60 look-alikes. */
export function lookAlikes(seed: number): LookAlike[] {
  const d = draw(seed);
  return [
    ...[...hashes, ...encoded].map(([name, pattern]) => ({ name, text: drawn(d, pattern) })),
    ...[...placeholders, ...code].map((text) => ({ name: text.slice(0, 60), text })),
  ];
}
