import { draw, drawn, encode, password, pem, surrounded, type Around, type Pattern } from "./secret-draw.ts";

/** Made-up secrets, drawn from a seed, so that no secret's characters stand in this repository. */

export interface SecretSample {
  readonly name: string;
  readonly text: string;
  /** What must be gone from the redacted text. */
  readonly secrets: readonly string[];
}

type Made = readonly [name: string, secret: Pattern, around: Around];

/** Tokens of known issuers, each in a place where it was seen to leak. */
const issued: readonly Made[] = [
  ["aws key id, shell", "AKIA«base32 16»", "export AWS_ACCESS_KEY_ID=§\n"],
  ["aws temporary key id, log", "ASIA«base32 16»", "[warn] InvalidClientTokenId: § is not valid"],
  ["aws secret, credentials file", "«base64 40»", "[default]\naws_secret_access_key = §\nregion = eu-west-1\n"],
  ["aws secret, JSON", "«base64 40»", '{"Credentials": {"SecretAccessKey": "§", "Expiration": "2026-01-01"}}'],
  ["aws secret, console CSV", "«base64 40»", "Access key ID,Secret access key\nAKIA«upper 16»,§\n"],
  ["aws session token", "«base64 356»", 'AWS_SESSION_TOKEN="§"\n'],
  ["github classic token, git remote", "ghp_«base62 36»", "origin  https://§@github.com/acme/shop.git (fetch)"],
  ["github app token, header", "ghs_«base62 36»", "curl -H 'Authorization: token §' https://api.github.com/user"],
  ["github fine-grained token, env", "github_pat_«base62 22»_«base62 59»", "GITHUB_TOKEN=§"],
  ["github token after an escaped line end", "gho_«base62 36»", '{"stdout":"token saved:\\n§\\n"}'],
  ["gitlab token, YAML", "glpat-«url 20»", "variables:\n  GITLAB_PAT: §\n"],
  ["slack bot token, code", "xoxb-«digits 12»-«digits 13»-«base62 24»", 'const web = new WebClient("§");'],
  ["slack webhook", "T«caps 8»/B«caps 10»/«base62 24»", "curl -X POST https://hooks.slack.com/services/§"],
  ["discord webhook", "«digits 18»/«url 68»", "HOOK: https://discord.com/api/webhooks/§"],
  ["telegram bot", "AA«url 33»", "https://api.telegram.org/bot«123456789 10»:§/getMe"],
  ["stripe secret key, code", "sk_live_«base62 24»", "const stripe = require('stripe')('§');"],
  ["stripe restricted key, YAML", "rk_test_«base62 24»", "stripe:\n  key: §\n"],
  ["stripe webhook", "whsec_«base62 32»", "stripe listen  > Ready! Your webhook signing secret is § (^C to quit)"],
  ["anthropic key, shell", "sk-ant-api03-«url 93»AA", "ANTHROPIC_API_KEY=§ claude -p hello"],
  ["openai key, code", "sk-«base62 20»T3BlbkFJ«base62 20»", 'client = OpenAI(api_key="§")'],
  ["openai project", "sk-proj-«url 74»T3BlbkFJ«url 74»", "401 Incorrect API key provided: §. You can find yours at"],
  ["openrouter key", "sk-or-v1-«hex 64»", '{"provider": "openrouter", "value": "§"}'],
  ["google key, URL", "AIza«url 35»", "GET https://maps.googleapis.com/maps/api/js?v=3&key=§&callback=init"],
  ["google access token", "ya29.«url 120»", "gcloud auth print-access-token\n§\n$ "],
  ["google client", "GOCSPX-«url 28»", '{"installed":{"client_secret":"§","redirect_uris":["http://localhost"]}}'],
  [
    "google service account",
    (d) => pem(d, "PRIVATE KEY"),
    (s, d) => JSON.stringify({ type: "service_account", private_key_id: drawn(d, "«hex 40»"), private_key: `${s}\n` }),
  ],
  ["azure client secret", "«base62 3»8Q~«base62 34»", "az login --service-principal -u app -p '§'"],
  [
    "azure storage connection",
    "«base64 86»==",
    "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=§;EndpointSuffix=core.windows.net",
  ],
  ["azure address", "«base62 43»%3D", "https://shop.blob.core.windows.net/c/f.zip?sv=2024-11-04&se=2026-01-01&sig=§"],
  ["npm token, .npmrc", "npm_«base62 36»", "//npm.example.com/:_authToken=§\n"],
  ["pypi token, .pypirc", "pypi-AgEIcHlwaS5vcmc«url 150»", "[pypi]\nusername = __token__\npassword = §\n"],
  ["cloudflare token, env", "«url 40»", "CLOUDFLARE_API_TOKEN=§\n"],
  ["cloudflare global key, header", "«hex 37»", '-H "X-Auth-Email: me@acme.dev" -H "X-Auth-Key: §"'],
  ["twilio auth token, code", "«hex 32»", 'const accountSid = "AC«hex 32»";\nconst authToken = "§";'],
  ["twilio key", "SK«hex 32»", "twilio api:core:calls:list -u §"],
  ["sendgrid key", "SG.«url 22».«url 43»", "sgMail.setApiKey('§')"],
  ["shopify token", "shpat_«hex 32»", "X-Shopify-Access-Token: §"],
  ["linear key", "lin_api_«base62 40»", "linear auth §"],
  ["notion token", "ntn_«digits 11»«base62 35»", 'const notion = new Client({ auth: "§" });'],
  ["huggingface token", "hf_«letters 34»", "huggingface-cli login --token §"],
  ["groq key", "gsk_«base62 52»", "Groq(api_key='§')"],
  ["grafana token", "glsa_«base62 32»_«hex 8»", "grafana: §"],
  ["vault token", "hvs.«url 95»", "token                §\ntoken_accessor       abc"],
  ["databricks token", "dapi«hex 32»", "[DEFAULT]\nhost = https://acme.cloud.databricks.com\ntoken = §"],
  ["digitalocean token", "dop_v1_«hex 64»", "doctl auth init -t §"],
  ["docker token", "dckr_pat_«url 27»", "echo § | docker login --password-stdin"],
  ["vercel token", "vcp_«base62 56»", "vercel deploy --token=§"],
  ["figma token", "figd_«url 42»", "X-FIGMA-TOKEN: §"],
  ["age key", "AGE-SECRET-KEY-1«caps 58»", "# created: 2026-01-01\n§\n"],
  ["jwt, header", "«jwt»", "Authorization: Bearer §\r\nAccept: */*"],
  ["jwt, cookie", "«jwt»", "Set-Cookie: auth=§; Path=/; HttpOnly"],
];

const keys: readonly Made[] = [
  ["rsa key, file", (d) => pem(d, "RSA PRIVATE KEY"), "$ cat id_rsa\n§\n$ "],
  ["openssh key, heredoc", (d) => pem(d, "OPENSSH PRIVATE KEY"), "cat > ~/.ssh/id <<EOF\n§\nEOF"],
  ["ec key in a JSON string", (d) => pem(d, "EC PRIVATE KEY", "\\n"), '{"cert":"none","key":"§\\n"}'],
  ["key escaped twice", (d) => pem(d, "PRIVATE KEY", "\\\\n"), '{"body":"{\\"pem\\":\\"§\\"}"}'],
  ["key with its end cut off", (d) => pem(d, "PRIVATE KEY").slice(0, 400), "output truncated:\n§"],
];

/** Secrets without a format of their own: only the place tells. */
const placed: readonly Made[] = [
  ["env password", "«password»", "DB_HOST=localhost\nDB_PASSWORD=§\nDB_PORT=5432\n"],
  ["env password of letters", "«lower 12»", "POSTGRES_PASSWORD=§\n"],
  ["env file in a tool result", "«password»", '{"output":"NODE_ENV=production\\nREDIS_PASSWORD=§\\nPORT=3000"}'],
  ["env file with line numbers", "«password»", "     1\tHOST=db\n     2\tdb_password=§\n"],
  ["docker -e", "«password»", "docker run -e MYSQL_ROOT_PASSWORD=§ -p 3306:3306 mysql:8"],
  ["JSON password", "«password»", '{"host": "db.internal", "user": "app", "password": "§"}'],
  ["JSON password of letters", "«lower 10»", '{"username":"app","password":"§"}'],
  ["JSON in JSON", "«password»", (s) => JSON.stringify({ body: JSON.stringify({ login: "me", password: s }) })],
  ["YAML password", "«password»", "database:\n  user: app\n  password: §\n  port: 5432\n"],
  ["kubernetes env", "«password»", "env:\n  - name: DB_PASSWORD\n    value: §\n"],
  ["properties file", "«password»", "spring.datasource.password=§\nspring.jpa.show-sql=true\n"],
  ["typescript constant", "«password»", 'const dbPassword: string = "§";'],
  ["python keyword", "«password»", `conn = psycopg2.connect(host="db", password='§')`],
  ["go assignment", "«base62 32»", '\tapiKey := "§"\n'],
  ["C define", "«base62 24»", '#define WIFI_PASSWORD "§"'],
  ["os.environ", "«hex 40»", 'os.environ["SENTRY_AUTH_TOKEN"] = "§"'],
  ["setter", "«password»", 'dataSource.setPassword("§");'],
  ["XML element", "«password»", "<server><username>ci</username><password>§</password></server>"],
  [".NET attribute", "«password»", '<add key="SmtpPassword" value="§" />'],
  ["property list", "«base62 32»", "<key>apiKey</key>\n  <string>§</string>"],
  ["SQL user", "«password»", "CREATE USER app WITH PASSWORD '§';"],
  ["mysql grant", "«password»", "GRANT ALL ON *.* TO 'app'@'%' IDENTIFIED BY '§';"],
  ["ADO.NET connection", "«password»", "Server=db;Database=shop;User Id=sa;Password=§;Encrypt=true"],
  ["postgres URL", "«base62 16»", "DATABASE_URL=postgresql://app:§@db.internal:5432/shop?sslmode=require"],
  ["mongodb URL", "«base62 18»", 'mongoose.connect("mongodb+srv://shop:§@cluster0.ab1cd.mongodb.net/prod")'],
  ["mysql URL", "«base62 18»", "jdbc:mysql://shop:§@db.internal:3306/prod"],
  ["redis URL", "«base62 24»", "redis://:§@cache.internal:6379/0"],
  ["basic auth URL", "«base62 14»", "pip install --index-url https://ci:§@pkgs.acme.dev/simple shop"],
  ["token as git user", "«hex 40»", "git clone https://§@git.acme.dev/shop.git"],
  ["curl user", "«password»", "curl -sS -u admin:§ https://ci.acme.dev/api/json"],
  ["flag with a blank", "«hex 32»", "snyk test --token § --json"],
  ["flag with =", "«password»", "mysqldump --user=root --password=§ shop"],
  ["sshpass", "«password»", "sshpass -p '§' ssh root@10.0.0.5"],
  [".netrc", "«password»", "machine git.acme.dev login me password §\n"],
  ["docker auth", (d) => encode(`ci:${password(d)}`), '{"auths": {"registry.acme.dev": {"auth": "§"}}}'],
  ["basic authorization", (d) => encode(`ci:${password(d)}`), "> GET / HTTP/1.1\n> Authorization: Basic §\n"],
  ["bearer", "«base62 40»", 'fetch(url, { headers: { authorization: "Bearer §" } })'],
  ["custom header", "«base62 32»", "x-api-key: §\ncontent-type: application/json"],
  ["session cookie", "«hex 40»", "Cookie: theme=dark; sid=§"],
  ["query parameter", "«base62 32»", "GET /v1/items?limit=10&access_token=§&page=2 200 12ms"],
  ["signed S3 address", "«hex 64»", "https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=§"],
  ["rails secret", "«hex 128»", "production:\n  secret_key_base: §\n"],
  ["jwt secret, code", "«url 48»", "jwt.sign(payload, key, {}); export const JWT_SECRET = '§';"],
  ["list of keys", "«base62 32»", 'API_KEYS = ["«base62 32»", "§"]'],
  ["said in a chat", "«password»", "ok, log in as admin, the password is § and then run the migration"],
  ["key said in a chat", "«base62 40»", "here is the api key for the staging server: §"],
  ["token said, in backquotes", "«hex 40»", "The deploy token is `§`, use it in CI."],
  ["terraform", "«password»", 'resource "db" "main" {\n  master_password = "§"\n}'],
  ["heroku key", "«uuid»", "HEROKU_API_KEY=§\n"],
];

/** At least 60 secrets, each in its surroundings. */
export function secretSamples(seed: number): SecretSample[] {
  const d = draw(seed);
  return [...issued, ...keys, ...placed].map(([name, pattern, around]) => {
    const secret = drawn(d, pattern);
    return {
      name,
      text: surrounded(d, around, secret),
      secrets: secret.includes("PRIVATE KEY") ? keyLines(secret) : [secret],
    };
  });
}

/** The long lines of a key: whatever stands between them, none of them may be left. */
function keyLines(key: string): string[] {
  return key.split(/\n|\\+n/).filter((line) => line.length === 64);
}
