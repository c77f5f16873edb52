import {
  base62,
  base64,
  digits,
  encode,
  hex,
  jwt,
  lower,
  password,
  pem,
  upper,
  urlSafe,
  uuid,
  draw,
  type Draw,
} from "./secret-draw.ts";

/** Made-up secrets, drawn from a seed, so that no secret's characters stand in this repository. */

export interface SecretSample {
  readonly name: string;
  readonly text: string;
  /** What must be gone from the redacted text. */
  readonly secrets: readonly string[];
}

type Around = (secret: string, d: Draw) => string;
type Made = readonly [name: string, make: (d: Draw) => string, around: Around];

/** Tokens of known issuers, each in a place where it was seen to leak. */
const issued: readonly Made[] = [
  ["aws key id, shell", (d) => `AKIA${d.chars(`${upper}234567`, 16)}`, (s) => `export AWS_ACCESS_KEY_ID=${s}\n`],
  [
    "aws temporary key id, log",
    (d) => `ASIA${d.chars(`${upper}234567`, 16)}`,
    (s) => `[warn] InvalidClientTokenId: ${s} is not valid`,
  ],
  [
    "aws secret, credentials file",
    (d) => d.chars(base64, 40),
    (s) => `[default]\naws_secret_access_key = ${s}\nregion = eu-west-1\n`,
  ],
  [
    "aws secret, JSON",
    (d) => d.chars(base64, 40),
    (s) => `{"Credentials": {"SecretAccessKey": "${s}", "Expiration": "2026-01-01"}}`,
  ],
  [
    "aws secret, console CSV",
    (d) => d.chars(base64, 40),
    (s, d) => `Access key ID,Secret access key\nAKIA${d.chars(upper, 16)},${s}\n`,
  ],
  ["aws session token", (d) => d.chars(base64, 356), (s) => `AWS_SESSION_TOKEN="${s}"\n`],
  [
    "github classic token, git remote",
    (d) => `ghp_${d.chars(base62, 36)}`,
    (s) => `origin  https://${s}@github.com/acme/shop.git (fetch)`,
  ],
  [
    "github app token, header",
    (d) => `ghs_${d.chars(base62, 36)}`,
    (s) => `curl -H 'Authorization: token ${s}' https://api.github.com/user`,
  ],
  [
    "github fine-grained token, env",
    (d) => `github_pat_${d.chars(base62, 22)}_${d.chars(base62, 59)}`,
    (s) => `GITHUB_TOKEN=${s}`,
  ],
  [
    "github token after an escaped line end",
    (d) => `gho_${d.chars(base62, 36)}`,
    (s) => JSON.stringify({ stdout: `token saved:\n${s}\n` }),
  ],
  ["gitlab token, YAML", (d) => `glpat-${d.chars(urlSafe, 20)}`, (s) => `variables:\n  GITLAB_PAT: ${s}\n`],
  [
    "slack bot token, code",
    (d) => `xoxb-${d.chars(digits, 12)}-${d.chars(digits, 13)}-${d.chars(base62, 24)}`,
    (s) => `const web = new WebClient("${s}");`,
  ],
  [
    "slack webhook",
    (d) => `T${d.chars(upper + digits, 8)}/B${d.chars(upper + digits, 10)}/${d.chars(base62, 24)}`,
    (s) => `curl -X POST https://hooks.slack.com/services/${s}`,
  ],
  [
    "discord webhook",
    (d) => `${d.chars(digits, 18)}/${d.chars(urlSafe, 68)}`,
    (s) => `HOOK: https://discord.com/api/webhooks/${s}`,
  ],
  [
    "telegram bot",
    (d) => `AA${d.chars(urlSafe, 33)}`,
    (s, d) => `https://api.telegram.org/bot${d.chars("123456789", 10)}:${s}/getMe`,
  ],
  [
    "stripe secret key, code",
    (d) => `sk_live_${d.chars(base62, 24)}`,
    (s) => `const stripe = require('stripe')('${s}');`,
  ],
  ["stripe restricted key, YAML", (d) => `rk_test_${d.chars(base62, 24)}`, (s) => `stripe:\n  key: ${s}\n`],
  [
    "stripe webhook secret",
    (d) => `whsec_${d.chars(base62, 32)}`,
    (s) => `stripe listen  > Ready! Your webhook signing secret is ${s} (^C to quit)`,
  ],
  [
    "anthropic key, shell",
    (d) => `sk-ant-api03-${d.chars(urlSafe, 93)}AA`,
    (s) => `ANTHROPIC_API_KEY=${s} claude -p hello`,
  ],
  [
    "openai key, code",
    (d) => `sk-${d.chars(base62, 20)}T3BlbkFJ${d.chars(base62, 20)}`,
    (s) => `client = OpenAI(api_key="${s}")`,
  ],
  [
    "openai project key, log",
    (d) => `sk-proj-${d.chars(urlSafe, 74)}T3BlbkFJ${d.chars(urlSafe, 74)}`,
    (s) => `401 Incorrect API key provided: ${s}. You can find yours at`,
  ],
  ["openrouter key", (d) => `sk-or-v1-${d.chars(hex, 64)}`, (s) => `{"provider": "openrouter", "value": "${s}"}`],
  [
    "google key, URL",
    (d) => `AIza${d.chars(urlSafe, 35)}`,
    (s) => `GET https://maps.googleapis.com/maps/api/js?v=3&key=${s}&callback=init`,
  ],
  ["google access token", (d) => `ya29.${d.chars(urlSafe, 120)}`, (s) => `gcloud auth print-access-token\n${s}\n$ `],
  [
    "google client secret, JSON",
    (d) => `GOCSPX-${d.chars(urlSafe, 28)}`,
    (s) => `{"installed":{"client_secret":"${s}","redirect_uris":["http://localhost"]}}`,
  ],
  [
    "google service account",
    (d) => pem(d, "PRIVATE KEY"),
    (s, d) => JSON.stringify({ type: "service_account", private_key_id: d.chars(hex, 40), private_key: `${s}\n` }),
  ],
  [
    "azure client secret",
    (d) => `${d.chars(base62, 3)}8Q~${d.chars(base62, 34)}`,
    (s) => `az login --service-principal -u app -p '${s}'`,
  ],
  [
    "azure storage connection",
    (d) => `${d.chars(base64, 86)}==`,
    (s) => `DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=${s};EndpointSuffix=core.windows.net`,
  ],
  [
    "azure signed address",
    (d) => `${d.chars(base62, 43)}%3D`,
    (s) => `https://shop.blob.core.windows.net/c/f.zip?sv=2024-11-04&se=2026-01-01&sig=${s}`,
  ],
  ["npm token, .npmrc", (d) => `npm_${d.chars(base62, 36)}`, (s) => `//npm.example.com/:_authToken=${s}\n`],
  [
    "pypi token, .pypirc",
    (d) => `pypi-AgEIcHlwaS5vcmc${d.chars(urlSafe, 150)}`,
    (s) => `[pypi]\nusername = __token__\npassword = ${s}\n`,
  ],
  ["cloudflare token, env", (d) => d.chars(urlSafe, 40), (s) => `CLOUDFLARE_API_TOKEN=${s}\n`],
  [
    "cloudflare global key, header",
    (d) => d.chars(hex, 37),
    (s) => `-H "X-Auth-Email: me@acme.dev" -H "X-Auth-Key: ${s}"`,
  ],
  [
    "twilio auth token, code",
    (d) => d.chars(hex, 32),
    (s, d) => `const accountSid = "AC${d.chars(hex, 32)}";\nconst authToken = "${s}";`,
  ],
  ["twilio key", (d) => `SK${d.chars(hex, 32)}`, (s) => `twilio api:core:calls:list -u ${s}`],
  ["sendgrid key", (d) => `SG.${d.chars(urlSafe, 22)}.${d.chars(urlSafe, 43)}`, (s) => `sgMail.setApiKey('${s}')`],
  ["shopify token", (d) => `shpat_${d.chars(hex, 32)}`, (s) => `X-Shopify-Access-Token: ${s}`],
  ["linear key", (d) => `lin_api_${d.chars(base62, 40)}`, (s) => `linear auth ${s}`],
  [
    "notion token",
    (d) => `ntn_${d.chars(digits, 11)}${d.chars(base62, 35)}`,
    (s) => `const notion = new Client({ auth: "${s}" });`,
  ],
  ["huggingface token", (d) => `hf_${d.chars(upper + lower, 34)}`, (s) => `huggingface-cli login --token ${s}`],
  ["groq key", (d) => `gsk_${d.chars(base62, 52)}`, (s) => `Groq(api_key='${s}')`],
  ["grafana token", (d) => `glsa_${d.chars(base62, 32)}_${d.chars(hex, 8)}`, (s) => `grafana: ${s}`],
  ["vault token", (d) => `hvs.${d.chars(urlSafe, 95)}`, (s) => `token                ${s}\ntoken_accessor       abc`],
  [
    "databricks token",
    (d) => `dapi${d.chars(hex, 32)}`,
    (s) => `[DEFAULT]\nhost = https://acme.cloud.databricks.com\ntoken = ${s}`,
  ],
  ["digitalocean token", (d) => `dop_v1_${d.chars(hex, 64)}`, (s) => `doctl auth init -t ${s}`],
  ["docker token", (d) => `dckr_pat_${d.chars(urlSafe, 27)}`, (s) => `echo ${s} | docker login --password-stdin`],
  ["vercel token", (d) => `vcp_${d.chars(base62, 56)}`, (s) => `vercel deploy --token=${s}`],
  ["figma token", (d) => `figd_${d.chars(urlSafe, 42)}`, (s) => `X-FIGMA-TOKEN: ${s}`],
  ["age key", (d) => `AGE-SECRET-KEY-1${d.chars(upper + digits, 58)}`, (s) => `# created: 2026-01-01\n${s}\n`],
  ["jwt, header", jwt, (s) => `Authorization: Bearer ${s}\r\nAccept: */*`],
  ["jwt, cookie", jwt, (s) => `Set-Cookie: auth=${s}; Path=/; HttpOnly`],
];

const keys: readonly Made[] = [
  ["rsa key, file", (d) => pem(d, "RSA PRIVATE KEY"), (s) => `$ cat id_rsa\n${s}\n$ `],
  ["openssh key, heredoc", (d) => pem(d, "OPENSSH PRIVATE KEY"), (s) => `cat > ~/.ssh/id <<EOF\n${s}\nEOF`],
  ["ec key in a JSON string", (d) => pem(d, "EC PRIVATE KEY", "\\n"), (s) => `{"cert":"none","key":"${s}\\n"}`],
  ["key escaped twice", (d) => pem(d, "PRIVATE KEY", "\\\\n"), (s) => `{"body":"{\\"pem\\":\\"${s}\\"}"}`],
  ["key with its end cut off", (d) => pem(d, "PRIVATE KEY").slice(0, 400), (s) => `output truncated:\n${s}`],
];

const p = password;

/** Secrets without a format of their own: only the place tells. */
const placed: readonly Made[] = [
  ["env password", p, (s) => `DB_HOST=localhost\nDB_PASSWORD=${s}\nDB_PORT=5432\n`],
  ["env password of letters", (d) => d.chars(lower, 12), (s) => `POSTGRES_PASSWORD=${s}\n`],
  [
    "env file in a tool result",
    p,
    (s) => JSON.stringify({ output: `NODE_ENV=production\nREDIS_PASSWORD=${s}\nPORT=3000` }),
  ],
  ["env file with line numbers", p, (s) => `     1\tHOST=db\n     2\tdb_password=${s}\n`],
  ["docker -e", p, (s) => `docker run -e MYSQL_ROOT_PASSWORD=${s} -p 3306:3306 mysql:8`],
  ["JSON password", p, (s) => `{"host": "db.internal", "user": "app", "password": "${s}"}`],
  ["JSON password of letters", (d) => d.chars(lower, 10), (s) => `{"username":"app","password":"${s}"}`],
  ["JSON in JSON", p, (s) => JSON.stringify({ body: JSON.stringify({ login: "me", password: s }) })],
  ["YAML password", p, (s) => `database:\n  user: app\n  password: ${s}\n  port: 5432\n`],
  ["kubernetes env", p, (s) => `env:\n  - name: DB_PASSWORD\n    value: ${s}\n`],
  ["properties file", p, (s) => `spring.datasource.password=${s}\nspring.jpa.show-sql=true\n`],
  ["typescript constant", p, (s) => `const dbPassword: string = "${s}";`],
  ["python keyword", p, (s) => `conn = psycopg2.connect(host="db", password='${s}')`],
  ["go assignment", (d) => d.chars(base62, 32), (s) => `\tapiKey := "${s}"\n`],
  ["C define", (d) => d.chars(base62, 24), (s) => `#define WIFI_PASSWORD "${s}"`],
  ["os.environ", (d) => d.chars(hex, 40), (s) => `os.environ["SENTRY_AUTH_TOKEN"] = "${s}"`],
  ["setter", p, (s) => `dataSource.setPassword("${s}");`],
  ["XML element", p, (s) => `<server><username>ci</username><password>${s}</password></server>`],
  [".NET attribute", p, (s) => `<add key="SmtpPassword" value="${s}" />`],
  ["property list", (d) => d.chars(base62, 32), (s) => `<key>apiKey</key>\n  <string>${s}</string>`],
  ["SQL user", p, (s) => `CREATE USER app WITH PASSWORD '${s}';`],
  ["mysql grant", p, (s) => `GRANT ALL ON *.* TO 'app'@'%' IDENTIFIED BY '${s}';`],
  ["ADO.NET connection", p, (s) => `Server=db;Database=shop;User Id=sa;Password=${s};Encrypt=true`],
  [
    "postgres URL",
    (d) => d.chars(base62, 16),
    (s) => `DATABASE_URL=postgresql://app:${s}@db.internal:5432/shop?sslmode=require`,
  ],
  [
    "mongodb URL",
    (d) => d.chars(base62, 18),
    (s) => `mongoose.connect("mongodb+srv://shop:${s}@cluster0.ab1cd.mongodb.net/prod")`,
  ],
  ["mysql URL", (d) => d.chars(base62, 18), (s) => `jdbc:mysql://shop:${s}@db.internal:3306/prod`],
  ["redis URL", (d) => d.chars(base62, 24), (s) => `redis://:${s}@cache.internal:6379/0`],
  [
    "basic auth URL",
    (d) => d.chars(base62, 14),
    (s) => `pip install --index-url https://ci:${s}@pkgs.acme.dev/simple shop`,
  ],
  ["token as git user", (d) => d.chars(hex, 40), (s) => `git clone https://${s}@git.acme.dev/shop.git`],
  ["curl user", p, (s) => `curl -sS -u admin:${s} https://ci.acme.dev/api/json`],
  ["flag with a blank", (d) => d.chars(hex, 32), (s) => `snyk test --token ${s} --json`],
  ["flag with =", p, (s) => `mysqldump --user=root --password=${s} shop`],
  ["sshpass", p, (s) => `sshpass -p '${s}' ssh root@10.0.0.5`],
  [".netrc", p, (s) => `machine git.acme.dev login me password ${s}\n`],
  ["docker auth", (d) => encode(`ci:${password(d)}`), (s) => `{"auths": {"registry.acme.dev": {"auth": "${s}"}}}`],
  ["basic authorization", (d) => encode(`ci:${password(d)}`), (s) => `> GET / HTTP/1.1\n> Authorization: Basic ${s}\n`],
  ["bearer", (d) => d.chars(base62, 40), (s) => `fetch(url, { headers: { authorization: "Bearer ${s}" } })`],
  ["custom header", (d) => d.chars(base62, 32), (s) => `x-api-key: ${s}\ncontent-type: application/json`],
  ["session cookie", (d) => d.chars(hex, 40), (s) => `Cookie: theme=dark; sid=${s}`],
  ["query parameter", (d) => d.chars(base62, 32), (s) => `GET /v1/items?limit=10&access_token=${s}&page=2 200 12ms`],
  [
    "signed S3 address",
    (d) => d.chars(hex, 64),
    (s) => `https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=${s}`,
  ],
  ["rails secret", (d) => d.chars(hex, 128), (s) => `production:\n  secret_key_base: ${s}\n`],
  [
    "jwt secret, code",
    (d) => d.chars(urlSafe, 48),
    (s) => `jwt.sign(payload, key, {}); export const JWT_SECRET = '${s}';`,
  ],
  ["list of keys", (d) => d.chars(base62, 32), (s, d) => `API_KEYS = ["${d.chars(base62, 32)}", "${s}"]`],
  ["said in a chat", p, (s) => `ok, log in as admin, the password is ${s} and then run the migration`],
  ["key said in a chat", (d) => d.chars(base62, 40), (s) => `here is the api key for the staging server: ${s}`],
  ["token said, in backquotes", (d) => d.chars(hex, 40), (s) => `The deploy token is \`${s}\`, use it in CI.`],
  ["terraform", p, (s) => `resource "db" "main" {\n  master_password = "${s}"\n}`],
  ["heroku key", uuid, (s) => `HEROKU_API_KEY=${s}\n`],
];

/** At least 60 secrets, each in its surroundings. */
export function secretSamples(seed: number): SecretSample[] {
  const d = draw(seed);
  return [...issued, ...keys, ...placed].map(([name, make, around]) => {
    const secret = make(d);
    return { name, text: around(secret, d), secrets: secret.includes("PRIVATE KEY") ? keyLines(secret) : [secret] };
  });
}

/** The long lines of a key: whatever stands between them, none of them may be left. */
function keyLines(key: string): string[] {
  return key.split(/\n|\\+n/).filter((line) => line.length === 64);
}
