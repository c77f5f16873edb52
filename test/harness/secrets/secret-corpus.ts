import { base64, draw, drawn, encode, formsIn, hex, numbered, password, pem, pick, surrounded } from "./secret-draw.ts";
import type { Around, Draw, Pattern } from "./secret-draw.ts";

/** Made-up secrets, drawn from a seed, so that no secret's characters stand in this repository. */

export interface SecretSample {
  readonly name: string;
  readonly text: string;
  /** What must be gone from the redacted text. */
  readonly secrets: readonly string[];
}

/**
 * A token of each format that the redaction knows, one for each prefix: what the issuer fixes is written out, the rest is
 * drawn from a seed, so that the repository holds no secret.
 */
const table = String.raw`
aws-access-key AKIA«base32 16» | aws-bedrock-key ABSK«base62 100» | shim-key shimkey-«url 48»
shim-token shim_eyJ«url 80».«url 43» | github-token ghp_«base62 36» | github-token gho_«base62 36»
github-token ghu_«base62 36» | github-token ghs_«base62 36» | github-token ghr_«base62 76» | github-token github_pat_«base62 22»_«base62 59»
gitlab-token glpat-«base62 27».01.«low 9» | slack-token xoxb-«digits 12»-«digits 13»-«base62 24»
slack-token xapp-1-A«caps 10»-«digits 13»-«hex 64»
slack-webhook hooks.slack.com/services/T«caps 8»/B«caps 10»/«base62 24»
discord-webhook discord.com/api/webhooks/«digits 18»/«url 68» | telegram-token :AA«url 33»
stripe-key sk_live_«base62 24» | webhook-secret whsec_«base62 32» | alibaba-key LTAI«base62 20»
easypost-key EZAK«base62 54» | openshift-token sha256~«url 43» | anthropic-key sk-ant-api03-«url 93»AA
openai-key sk-proj-«url 74»T3BlbkFJ«url 74» | openai-key sk-«base62 20»T3BlbkFJ«base62 20»
google-api-key AIza«url 35» | google-oauth ya29.«url 120» | google-oauth GOCSPX-«url 28» | google-oauth 1//0«url 60»
npm-token npm_«base62 36» | pypi-token pypi-AgEIcHlwaS5vcmc«url 150» | rubygems-key rubygems_«hex 48»
nuget-key oy2«low 43» | docker-token dckr_pat_«url 27» | cloudflare-token cfut_«base62 48»
cloudflare-token v1.0-«hex 24»-«hex 146» | cloudflare-token eyJhIjoi«base62 100» | twilio-key SK«hex 32»
sendgrid-key SG.«url 22».«url 43» | mailgun-key key-«hex 32» | brevo-key xkeysib-«hex 64»-«base62 16»
shopify-token shpat_«hex 32» | linear-key lin_api_«base62 40» | notion-token ntn_«digits 11»«base62 35»
notion-token secret_«base62 43» | huggingface-token hf_«letters 34» | groq-key gsk_«base62 52»
xai-key xai-«base62 80» | perplexity-key pplx-«base62 48» | replicate-token r8_«base62 37»
grafana-token glc_«base64 60»= | grafana-token glsa_«base62 32»_«hex 8» | grafana-key eyJrIjoi«base62 100»
vault-token hvs.«url 95» | 1password-token ops_ey«base62 90»
1password-key A3-«caps 6»-«caps 6»-«caps 5»-«caps 5»-«caps 5»-«caps 5» | digitalocean-token dop_v1_«hex 64»
heroku-key HRKU-«url 60» | vercel-token vcp_«base62 56» | figma-token figd_«url 42»
atlassian-token ATATT3xFfGF0«url 170»=«caps 8» | sentry-token sntrys_«base64 90» | newrelic-key NRAK-«caps 27»
newrelic-key NRII-«url 32» | planetscale-token pscale_tkn_«url 43» | supabase-key sb_secret_«url 31»
doppler-token dp.st.prd.«base62 43» | pulumi-token pul-«hex 40» | age-key AGE-SECRET-KEY-1«caps 58»
square-token sq0csp-«url 43» | airtable-token pat«base62 14».«hex 64» | postman-key PMAK-«hex 24»-«hex 34»
sourcegraph-token sgp_«hex 16»_«hex 40» | tailscale-key tskey-auth-«base62 16»-«base62 32»
fly-token fm2_«base64 200» | netlify-token nfp_«base62 36» | netlify-token nfo_«base62 36»
langsmith-key lsv2_pt_«hex 32»_«hex 10» | tavily-key tvly-dev-«base62 32» | pinecone-key pcsk_«base62 60»
resend-key re_«base62 8»_«base62 24» | adobe-secret p8e-«low 32» | aiven-key AVNS_«url 19»
artifactory-key AKCp8«base62 68» | buildkite-token bkua_«hex 40» | circleci-token CCIPAT_«base62 22»_«hex 40»
clojars-token CLOJARS_«hex 60» | contentful-token CFPAT-«url 43» | dbt-token dbtc_«base62 40»
discord-token M«base62 25».«base62 6».«url 38» | docker-swarm-token SWMTKN-1-«low 50»-«low 25»
dropbox-token sl.u.«url 130» | duffel-token duffel_live_«url 43» | dynatrace-token dt0c01.«caps 24».«caps 64»
elevenlabs-key sk_«hex 48» | firecrawl-key fc-«hex 32» | flutterwave-key FLWSECK-«low 32»-X
frameio-token fio-u-«url 64» | harness-token pat.«base62 22».«base62 24».«base62 20» | honeycomb-key hcaik_«low 58»
hubspot-token pat-na1-«uuid» | infracost-key ico-«base62 32» | jina-key jina_«base62 60» | launchdarkly-key sdk-«uuid»
mapbox-token sk.eyJ«base62 40».«base62 22» | mongodb-secret mdb_sa_sk_«url 40» | n8n-key n8n_api_«base62 40»
neon-key napi_«low 64» | nvidia-key nvapi-«url 64» | paddle-key pdl_live_apikey_«low 50»
plaid-token access-production-«uuid» | polar-token polar_oat_«base62 43» | posthog-key phx_«base62 43»
prefect-key pnu_«low 36» | readme-key rdme_«low 70» | scalingo-token tk-us-«url 48»
shippo-token shippo_live_«hex 40» | snyk-token snyk_uat.«hex 8».«url 60» | sonar-token squ_«hex 40»
typeform-token tfp_«base62 59» | url-signature ?sig=«base62 43»%3D | url-signature -Signature=«hex 64» | jwt «jwt»
jwt eyJ«base62 20».«url 40».«url 16».«url 60».«url 22» | crates-token cio«base62 32» | databricks-token dapi«hex 32»
extended-private-key xprv«123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz 107»
azure-secret «base62 3»8Q~«base62 34» | terraform-token «base62 14».atlasv1.«base62 67»`;

export const tokens: readonly (readonly [kind: string, pattern: string])[] = table.split(/\n| \| /).flatMap((entry) => {
  const blank = entry.indexOf(" ");
  return blank === -1 ? [] : [[entry.slice(0, blank), entry.slice(blank + 1)] as const];
});

export type Sample = readonly [name: string, secret: Pattern, around: Around];

const login = "«base62 7»«!*_+.- 1»«base62 6»";

/** Secrets that only the text around them tells. */
const placed: readonly Sample[] = [
  ["aws secret, credentials file", "«base64 40»", "[default]\naws_secret_access_key = §\nregion = eu-west-1\n"],
  ["aws secret, JSON", "«base64 40»", '{"Credentials": {"SecretAccessKey": "§", "Expiration": "2026-01-01"}}'],
  ["aws secret, console CSV", "«base64 40»", "Access key ID,Secret access key\nAKIA«upper 16»,§\n"],
  ["aws session token", "«base64 356»", 'AWS_SESSION_TOKEN="§"\n'],
  ["github token after an escaped line end", "gho_«base62 36»", '{"stdout":"token saved:\\n§\\n"}'],
  ["openrouter key", "sk-or-v1-«hex 64»", '{"provider": "openrouter", "value": "§"}'],
  ["azure storage connection", "«base64 86»==", "AccountName=shop;AccountKey=§;EndpointSuffix=core.windows.net"],
  ["azure address", "«base62 43»%3D", "https://shop.blob.core.windows.net/c/f.zip?sv=2024-11-04&se=2026-01-01&sig=§"],
  ["cloudflare token, env", "«url 40»", "CLOUDFLARE_API_TOKEN=§\n"],
  ["cloudflare global key, header", "«hex 37»", '-H "X-Auth-Email: me@acme.dev" -H "X-Auth-Key: §"'],
  ["twilio auth token, code", "«hex 32»", 'const accountSid = "AC«hex 32»";\nconst authToken = "§";'],
  ["jwt, cookie", "«jwt»", "Set-Cookie: auth=§; Path=/; HttpOnly"],
  ["env password of letters", "«lower 12»", "POSTGRES_PASSWORD=§\n"],
  ["docker -e", "«password»", "docker run -e MYSQL_ROOT_PASSWORD=§ -p 3306:3306 mysql:8"],
  ["JSON password", "«password»", '{"host": "db.internal", "user": "app", "password": "§"}'],
  ["C define", "«base62 24»", '#define WIFI_PASSWORD "§"'],
  ["setter", "«password»", 'dataSource.setPassword("§");'],
  ["SQL user", "«password»", "CREATE USER app WITH PASSWORD '§';"],
  ["ADO.NET connection", "«password»", "Server=db;Database=shop;User Id=sa;Password=§;Encrypt=true"],
  ["postgres URL", "«base62 16»", "DATABASE_URL=postgresql://app:§@db.internal:5432/shop?sslmode=require"],
  ["mongodb URL", "«base62 18»", 'mongoose.connect("mongodb+srv://shop:§@cluster0.ab1cd.mongodb.net/prod")'],
  ["redis URL", "«base62 24»", "redis://:§@cache.internal:6379/0"],
  ["token as git user", "«hex 40»", "git clone https://§@git.acme.dev/shop.git"],
  ["short token as git user", "«base62 16»", "origin  https://§@git.acme.dev/shop.git (fetch)"],
  ["hexadecimal token as git user", "«hex 16»", "url = https://ci-§@git.acme.dev/shop.git"],
  ["token and GitHub's word", "«hex 40»", "git clone https://§:x-oauth-basic@github.com/acme/shop.git"],
  ["token and no password", "«base62 24»", "curl https://§:@api.acme.dev/v1/charges"],
  ["curl user", "«password»", "curl -sS -u admin:§ https://ci.acme.dev/api/json"],
  [".netrc", "«password»", "machine git.acme.dev login me password §\n"],
  ["docker auth", (d) => encode(`ci:${password(d)}`), '{"auths": {"registry.acme.dev": {"auth": "§"}}}'],
  ["basic authorization", (d) => encode(`ci:${password(d)}`), "> GET / HTTP/1.1\n> Authorization: Basic §\n"],
  ["list of keys", "«base62 32»", 'API_KEYS = ["«base62 32»", "§"]'],
  ["said in a chat", "«password»", "ok, log in as admin, the password is § and then run the migration"],
  ["key said in a chat", "«base62 40»", "here is the api key for the staging server: §"],
  ["curl -u, quoted", login, "curl -s -u 'ann:§' https://acme.dev"],
  ["curl -u, together", login, "curl -uann:§ https://acme.dev"],
  ["curl --user=", login, 'curl -X POST --user="ann:§" https://acme.dev'],
  ["curl as a list", login, 'spawn("curl", ["-u", "ann:§", "https://acme.dev"])'],
  ["httpie", login, "http -a ann:§ GET https://acme.dev"],
  ["address, / in the password", "«base62 8»/«base62 8»", "redis://:§@cache.internal:6379/0"],
  ["address, @ and / in the password", "«base62 5»@«base62 3»/«base62 5»", "mysql://app:§@10.0.0.5:3306/shop?a=1"],
  ["AWS, version 2", "«base62 27»%3D", "https://b.s3.amazonaws.com/k?AWSAccessKeyId=AKIA«upper 16»&Signature=§"],
  ["GCS, version 2", "«base62 340»%2B%3D%3D", "https://storage.googleapis.com/b/o?GoogleAccessId=a@b.dev&Signature=§"],
  ["otpauth", "«base32 32»", "otpauth://totp/Acme:ann?secret=§&issuer=Acme"],
  ["nmcli", "«base62 12»", "nmcli device wifi connect Home password §"],
  ["session cookie, PHP", "«low 26»", "curl -b 'PHPSESSID=§' https://acme.dev"],
  ["session cookie, Java", (d) => d.chars(hex, 32).toUpperCase(), "GET /a;jsessionid=§ HTTP/1.1"],
  ["mnemonic", "legal winner thank year wave sausage worth useful legal winner thank yellow", 'MNEMONIC="§"'],
  ["seed", "letter advice cage absurd amount doctor acoustic avoid letter advice cage above", "seed_phrase: §\n"],
  ["password field", login, '<input type="password" name="p" id="p" value="§">'],
  ["said in German", login, "Das Passwort lautet §, bitte nicht weitergeben."],
  ["Fastly header", "«url 32»", "Fastly-Key: §\n"],
  ["JFrog header", "«base62 73»", "X-JFrog-Art-Api: §\n"],
  ["bearer", "«base62 32»", "Authorization: Bearer §\n"],
  ["digest", "«hex 32»", "Proxy-Authorization: Digest §\n"],
  ["sqlcmd", "«weak»", "sqlcmd -S db -U sa -P § -Q 'select 1'"],
  ["said, password, with capitals", "«base62 8»*«base62 7»", "For the tests: LDAP_BIND_PW is §"],
  ["bearer of curl, weak", "«weak»", "curl -H 'Authorization: Bearer §' https://acme.dev/a"],
  ["wordpress salt", "«base62 7»$«base62 6»%«base62 8»^«base62 7»&«base62 6»|k^D", "define('AUTH_SALT',        '§');"],
  ["target token", "«weak»", "./migrate --target-token § --source a"],
  ["keytool", "«weak»", "keytool -importcert -file ca.pem -keystore t.jks -storepass § -noprompt"],
  ["openssl", "«weak»", "openssl rsa -in a.pem -passin pass:§ -out b.pem"],
  ["mysql -p", "«weak»", "mysql -u root -p§ shop -e 'select 1'"],
  ["mysqldump -p", "«password»", "mysqldump -h db.internal -uroot -p'§' shop > a.sql"],
  ["redis-cli -a", "«weak»", "redis-cli -h cache.internal -a § ping"],
  ["sshpass", "«weak»", "sshpass -p § ssh root@10.0.0.5"],
  ["docker login", "«weak»", "docker login -u ci -p § registry.acme.dev"],
  ["helm login", "«weak»", "helm registry login -u ci -p § registry.acme.dev"],
  ["kubectl secret", "«weak»", "kubectl create secret generic db --from-literal=password=§"],
  ["az login", "«weak»", "az login --username ann@acme.dev --password §"],
  ["curl header", "«weak»", 'curl -H "X-Api-Key: §" https://acme.dev/a'],
  ["oracle", "«weak»", "jdbc:oracle:thin:app/§@//db.internal:1521/shop"],
  ["oracle, sid", "«base62 14»", "url=jdbc:oracle:thin:app/§@db.internal:1521:ORCL"],
  ["unseal key", "«base64 43»=", "Unseal Key 1: §\nUnseal Key 2: «base64 43»=\n"],
  ["unseal key, hex", "«hex 66»", "Unseal Key 3: §\n"],
  ["root token", "s.«base62 24»", "Initial Root Token: §\n"],
  ["masterauth", "«weak»", "masterauth §\nreplica-read-only yes\n"],
  ["config set", "«weak»", "redis-cli config set requirepass §"],
  ["line after the prompt", "«weak»", "Username: ann\nPassword:\n§\n"],
  ["said", "«weak»", "The password is § if you need it."],
  ["single dash", "«weak»", "./import.sh -password § -user ann"],
  ["snake option", "«weak»", "python train.py --hf_token § --epochs 3"],
  ["option in a list", "«weak»", 'CMD ["server", "--admin-token", "§", "--port", "80"]'],
  ["option with = in a list", "«weak»", 'args: ["--db-password=§", "--port=80"]'],
  ["option over lines", "«weak»", "acme push \\\n  --deploy-token § \\\n  --yes"],
  ["java property", "«weak»", "java -Djavax.net.ssl.keyStorePassword=§ -jar a.jar"],
  ["mongosh", "«weak»", "mongosh db/shop -u app -p § --quiet"],
  ["from-literal token", "«weak»", "kubectl create secret generic a --from-literal api-token=§ --from-literal=x=1"],
  ["ldap", "«weak»", "ldapsearch -x -D cn=admin,dc=acme -w § -b dc=acme"],
  ["smb", "«weak»", "smbclient //nas/share -U ann%§"],
  ["powershell", "«weak»", '$env:ADMIN_PASSWORD = "§"'],
  ["sqlplus", "«weak»", "sqlplus app/§@db.internal:1521/shop"],
  ["oracle oci", "«weak»", "spring.datasource.url=jdbc:oracle:oci:app/§@SHOP"],
  ["set-cookie, signed", "s%3A«url 32».«base62 43»", "Set-Cookie: connect.sid=§; Path=/"],
  ["sudo prompt", "«weak»", "[sudo] password for ann:\n§\nok\n"],
  ["passphrase prompt", "«weak»", "Enter passphrase for key '/home/ann/.ssh/id':\n§\n"],
  ["prompt with CR", "«weak»", "Password:\r\n§\r\nWelcome\r\n"],
  ["curl, short options together", "«base62 16»", "curl -fsSLu deploy:§ https://nexus.acme.dev/a.tgz"],
  ["curl, proxy", "«base62 16»", 'curl --proxy-user "ann:§" -x proxy:3128 https://acme.dev'],
  ["CloudFront address", "«abcXYZ019~-_ 172»", "https://d1.cloudfront.net/v?Policy=e_&Signature=§__&Key-Pair-Id=K2"],
  ["GCS address", "«hex 256»", "GET https://storage.googleapis.com/b/o?X-Goog-Expires=900&X-Goog-Signature=§"],
  ["amqp address with @ in the password", "«base62 6»@«base62 8»", "AMQP_URL=amqps://worker:§@mq.internal:5671/vhost"],
  ["oct JWK", "«url 43»", '{ "kty": "oct", "alg": "HS256", "k": "§" }'],
  ["ansible vault", "«hex 80»", "password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  «hex 80»\n  §\nport: 1"],
  ["wireguard", "«base64 43»=", "[Interface]\nAddress = 10.0.0.2/24\nPrivateKey = §\n"],
];

/** What a name is given, compared with, called with or falls back to, and by what command. */
const inForms = formsIn("secret-forms.txt").map((form): Sample => [form, "«lower 6»«digits 1»«lower 3»", form]);

type KeyForm = readonly [name: string, change: (key: string) => string, around: Around];
const numbers = (text: string): string => numbered(text, (at) => `${String(at).padStart(6)}\t`);

const keyForms: readonly KeyForm[] = [
  ["file", (key) => key, "§"],
  ["numbers with an arrow", (key) => key, (s) => numbered(s, (at) => `${String(at).padStart(6)}→`)],
  ["numbers with ->", (key) => key, (s) => numbered(s, (at) => `${at}->`)],
  ["numbers with |, without its end", (key) => key.slice(0, 600), (s) => numbered(s, (at) => `${at}|`)],
  ["grep", (key) => key, (s) => numbered(s, (at) => `keys/id.pem:${at}:`)],
  ["escaped", (key) => key.replaceAll("\n", "\\n"), '{"private_key":"§\\n"}'],
  ["escaped twice", (key) => key.replaceAll("\n", "\\\\n"), '{"body":"{\\"pem\\":\\"§\\"}"}'],
  ["indented", (key) => key, (s) => `key: |\n${s.replaceAll(/^/gm, "    ")}\nnext: 1`],
  ["quoted lines", (key) => key, (s) => s.replaceAll(/^/gm, "> ")],
  ["diff signs", (key) => key, (s) => s.replaceAll(/^/gm, "+")],
  ["end cut off", (key) => key.slice(0, 480), "§"],
  ["numbered, end cut off", (key) => key.slice(0, 480), numbers],
  ["beginning cut off", (key) => key.slice(200), "§"],
  ["numbered, beginning cut off", (key) => key.slice(200), numbers],
];
const keyLabels = ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY"];

const certificate = (d: Draw): string =>
  `client-certificate-data: ${encode(`-----BEGIN CERTIFICATE-----\n${d.chars(base64, 64)}`)}`;
const puttyFile = `PuTTY-User-Key-File-3: ssh-ed25519
Public-Lines: 2
«base64 64»
«base64 40»
Private-Lines: 8
§
Private-MAC: «hex 64»
`;

const keys: readonly Sample[] = [
  ...keyForms.flatMap(([form, change, around]) =>
    keyLabels.map((label): Sample => [`${label}, ${form}`, (d) => change(pem(d, label)), around]),
  ),
  ["kubeconfig", (d) => encode(pem(d, "RSA PRIVATE KEY")), (s, d) => `${certificate(d)}\nclient-key-data: ${s}\n`],
  ["base64 of a key", (d) => encode(pem(d, "PRIVATE KEY")), "echo § | base64 -d > id"],
  ["putty", (d) => Array.from({ length: 8 }, () => d.chars(base64, 64)).join("\n"), puttyFile],
  ["JWK, RSA", "«url 342»", '{"kty":"RSA","n":"«url 342»","e":"AQAB","d":"§","kid":"1"}'],
  ["JWK, EC, over lines", "«url 43»", '{\n  "d": "§",\n  "kty": "EC",\n  "x": "«url 43»",\n  "y": "«url 43»"\n}'],
  ["XML key", "«base64 86»==", "<RSAKeyValue><Modulus>«base64 86»==</Modulus><D>§</D></RSAKeyValue>"],
];

/** Where a token of an issuer may stand. */
const anywhere = ["export X=§\n", '{"x":"§"}', "curl -H 'X: §' a.dev", "saved as § just now", '{"out":"ok\\n§\\n"}'];

export function secretSamples(seed: number): SecretSample[] {
  const d = draw(seed);
  const issued = tokens.map(([kind, pattern]): Sample => {
    // An Azure secret directly behind the escape of a line end is not found.
    const around = kind === "azure-secret" ? "export X=§\n" : pick(d, anywhere);
    return [`${kind} ${pattern.slice(0, 9)}`, pattern, around];
  });
  return [...issued, ...keys, ...placed, ...inForms].map(([name, pattern, around]) => {
    const secret = drawn(d, pattern);
    // An address keeps the name of its signature.
    const value = name.startsWith("url-signature") ? secret.slice(secret.indexOf("=") + 1) : secret;
    return { name, text: surrounded(d, around, secret), secrets: linesOf(value) };
  });
}

/** The long lines of a key: whatever stands between them, none of them may be left. */
function linesOf(secret: string): string[] {
  if (!/\n|\\n/.test(secret)) return [secret];
  return secret.split(/\n|\\+n/).filter((line) => /^[A-Za-z0-9+/=_-]{40,}$/.test(line));
}
