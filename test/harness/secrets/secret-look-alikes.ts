import { draw, drawn, encode, lower, type Pattern } from "./secret-draw.ts";

/** What looks like a secret and is none. It must stay character for character. */
export interface LookAlike {
  readonly name: string;
  readonly text: string;
}

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
  "const password = await prompt('Password: ');\nlogin({ user, password, token: createToken(user) });",
  'if (token === undefined || token.type !== "string") throw new TokenError("token missing");',
  "const { accessToken, refreshToken } = await getTokens(request.headers.authorization);",
  "errors: { password: 'Password must have at least 12 characters', token: 'Token expired 5 minutes ago' }",
  "usage: { input_tokens: 150000, output_tokens: 2048, cache_read_input_tokens: 91234 }, max_tokens: 4096",
  "case TokenKind.StringLiteral: return { token: SyntaxKind.StringKeyword, key: node.key };",
  "const key = `${prefix}:${id}`; cache.set(key, value); Object.keys(map).map((key) => map[key]);",
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
];

/** A form a line, of those that a secret may have; ⏎ is a line end. */
const forms = `
type={showPassword ? "text" : "password"}
const label = isNew ? "newPassword1" : "password2";
password = var.prod ? var.prod_password : var.dev_password
password = use_vault ? data.vault_secret.db.data["password"] : ""
const password = isProd ? process.env.DB_PASSWORD : config.password;
auth: isOAuth ? "oauth2" : "basic",
{password ? "Hide password" : "Show password"}
token = cond ? "access_token" : "id_token2"
password.equals(other)
password.equals("password")
expect(password).toBe("")
expect(errors.password).toBe("Password is too short")
expect(screen.getByLabelText("Password").type).toBe("text")
expect(sha256("password")).toBe("5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8")
password.setCustomValidity("Passwords don't match 2")
passwordInput.fill(process.env.PW)
await page.fill("#password", password);
cy.get("#password1").should("have.attr", "type", "password")
cy.get("#password").type("{enter}")
fill_in 'Password', with: user.password
client.auth("user", password)
client.auth("google", "oauth2")
req.SetBasicAuth(user, pass)
passport.authenticate("jwt", "local2")
strcmp(password, stored)
strcmp(argv[1], "--password2")
bcrypt.compare(password, user.password)
assertEquals("password", field.name)
if (type !== "password") return;
if (password !== confirmPassword) throw new Error("no match 12");
if ("password" === field) {
case "password": return "string12";
Map.of("password", "string")
Map.of("username", "password")
("password", "varchar(255)")
["password", "address1"]
["username", "password", "email2"]
t("login.password", "Your password 1")
$table->string('password', 60);
cleaned_data.get("password2")
formData.get("newPassword1")
setattr(self, "password", value)
os.environ.get("DB_PASSWORD", "")
os.getenv("DB_PASSWORD", "changeme")
parser.add_argument("--password", help="the password of user1")
parser.add_argument("--password", default="", help="v2")
password: { type: "string", minLength: 8, default: "" }
"password": {"type": "string", "format": "password", "title": "Password"}
variable "password" {⏎  description = "Password for db1"⏎  default = ""⏎}
DB_PASSWORD:⏎    description: The password of db1
password:⏎  - required⏎  - min:8
passwords:⏎  - changeme
secrets:⏎  - source: db_password2⏎    target: x
password:⏎  "type": "string"
password:⏎    "The password must have 8 characters"
password: !Sub "{{resolve:secretsmanager:\${Secret}:SecretString:password}}"
password: !GetAtt Db.Password1
password: !secret db_password1
password: !ENV \${DB_PASSWORD1}
password: !!binary |
password: &anchor \${DB_PASSWORD}
password: |⏎  {{ vault_password }}
description: >⏎  The password of user1
secret: |⏎  The secret is kept in vault2
password = <<EOT⏎\${var.password}⏎EOT
-define(PASSWORD, os:getenv("DB_PASSWORD")).
-define(PASSWORD_KEY, "password").
{password, Password}
{password, undefined}.
#define PASSWORD_MAX "64"
#define PASSWORD_KEY "password"
set password $argv
set password [lindex $argv 0]
set password ""
git set password policy2
Password : constant String := Get_Password;
public string Password { get; set; } = "";
getPassword() { return this.password; }
getPasswordLabel() { return "Passwort1234"; }
validatePassword(v) { return v.length > 8 || "At least 8 characters"; }
def get_password(self):⏎    return os.environ["PW1"]
let(:password) { SecureRandom.hex(12) }
<property name="password">\${db.password}</property>
<string name="login_password">Passwort eingeben</string>
<string name="hint_password">Mindestens 8 Zeichen</string>
<label for="password">Kennwort1</label>
<input id="password" type="password" placeholder="Passwort"/><button>Submit12</button>
<password><![CDATA[]]></password>
CREATE USER app IDENTIFIED BY ?;
CREATE USER app IDENTIFIED BY '$DB_PASSWORD';
the user is identified by email2 and name
the field "password" "is required"
log in with the password "your-password1"
The password has been reset for user ann@acme.dev.
A temporary password is sent to ann2024@acme.dev
Password for ann@acme.dev:
the password is set by environment2
echo "$PASSWORD" | docker login --password-stdin
echo "hello" | sudo tee /etc/x2
echo test1234 | grep password
cat pw1.txt | docker login --password-stdin
echo "root:$PASS" | chpasswd
htpasswd -c .htpasswd alice2020
htpasswd -bc f ann "$PASSWORD"
wpa_passphrase "$SSID" "$PSK"
rabbitmqctl add_vhost vhost2024
usermod -aG docker2 ann
7z x -p archive2.7z
7z a -mx9 out2024.7z dir
lftp -u "$USER,$PASS" sftp://x
snmpwalk -v2c -c public host
openssl enc -aes-256-cbc -k $KEY1 -in a
gh secret set TOKEN -b"$TOKEN"
gh pr create -b "body2024"
aws ssm get-parameter --name /db/password2 --with-decryption
tool --value abc1234
localhost:5432/shop2024
0.0.0.0:5432->5432/tcp
dsn := "user:password@tcp(db:3306)/shop"
dsn := fmt.Sprintf("%s:%s@tcp(%s)/%s", u, p, h, d)
new PDO("mysql:host=db1", $user, $pass)
mysqli_connect("db1", "app", getenv("PW1"), "shop2")
router.begin("Home", "page2024")
app.login("/login", "post")
User.objects.create_user("ann", "ann2024@acme.dev", password)
getConnection("primary2", "replica")
await connect("db1", "replica2")
ConvertTo-SecureString $env:PW1 -AsPlainText -Force
password=$(pass show db) || echo "failed12"
PASSWORD=\${PASSWORD:-} ./run "arg1234"
password: foo bar "Vault2024x"
Password: see "Section12a" of the book
secret = lookup("secret", "v1", "ns2")
password = random_string("alnum2", 12)
password = hash(input, "sha512")
password = password.encode("latin1")
password = data["field2"]
password = document.getElementById("input1").value
password: z.string().regex(/[0-9]/, "needs 1 digit")
password: faker.internet.password({ length: 12, pattern: "v2x9" })
password: yup.string().oneOf([ref("password2")], "no match1")
password: Joi.string().alphanum().label("Password12")
password: opts.password || "changeme"
passwordHash: user.hash || "md5"
password != null && password.length
| password | varchar255 |
Password - at least 8 characters
password <<< "$PW1"
"password": "パスワードを入力してください",
"password": "Kennwort",
password: "Введите-пароль",
describe("password", "auth2")
log.info("password", "changed2")
useState("password1")
<Trans i18nKey="password">Password2</Trans>
user.type(screen.getByLabelText("Password"), password);
user.type(getByLabelText(/password/i), "{enter}");
fireEvent.change(passwordInput, { target: { value: "" } });
document.getElementById("password").value = "";
passwordInput.value = other;
passwordInput.type = "text12ab";
@ConfigProperty(name = "db.password", defaultValue = "")
DbPassword:⏎    Type: String⏎    NoEcho: true⏎    MinLength: 8
Parameters:⏎  DbPassword:⏎    Type: AWS::SSM::Parameter1
- name: db_password⏎  default: ""
- name: password⏎  default: none
password varchar(255) NOT NULL
password varchar(255) = ''
password_hash($input, PASSWORD_BCRYPT)
password_confirmation: "Wiederholung"
passwordConfirm: "Repeat it"
cd x;PWD=/var/www2
echo "hello2024" > out.txt
echo "$TOKEN" > token.txt
echo 'user:pass' | base64
printf '%s' "$PASS" | docker login --password-stdin
docker login --password-stdin <<< "$PASS"
cat <<< "text2024"
jwt.sign(payload, secret)
jwt.sign(payload, process.env.JWT_SECRET)
jwt.verify(token, "RS256")
createHmac("sha256", key)
createHmac("sha256", "key")
pymysql.connect("db1", "app", password)
login("github", "oauth2")
login("ann", password)
Credentials.basic("ann", password)
pflag.StringVar(&password, "password", "", "the password2")
PASSWORD=\${1:-$DEFAULT1}
password: "{{ pw | default('') }}"
password: "{{ lookup('env', 'PW2') }}"
password: {{ .Values.pw1 | default .Values.pw2 }}
<password-field label="x2y3z4">Text12</password-field>
<Password label="x">Kennwort</Password>
<password type="plain"></password>
mosquitto_pub -P "$PW1"
security add-generic-password -a ann2024 -s svc
az sql server list -p 1
const [password, setPassword] = useState("password");
require.Equal(t, "password", cfg.Field)
require.Equal(t, http.StatusOK, token)
when (kind) { "password" -> "text12" }
expect(getPassword()).toBe("")
if (user.getPassword().equals(other)) {
password CONSTANT varchar(30) := '';
@password NVARCHAR(50) = NULL
expect(login("ann", "wrong")).toBe(false)
password: when(env) { else -> System.getenv("PW2") }
secret: \${SECRET:?}
echo "::add-mask::$PASSWORD"
echo "done2024" >> passwords.log && x
echo enabled > /proc/sys/secret1/token
echo "abc12345" >> $GITHUB_STEP_SUMMARY`;
const inForms = forms
  .split("\n")
  .filter(Boolean)
  .map((line) => line.replaceAll("⏎", "\n"));

export function lookAlikes(seed: number): LookAlike[] {
  const d = draw(seed);
  const texts = [...hashes, ...encoded, ...others].map((pattern) => drawn(d, pattern));
  return [...texts, ...placeholders, ...code, ...inForms].map((text) => ({ name: text.slice(0, 60), text }));
}
