import { encodedPair, type Families } from "./secret-cases.ts";
import { base62, digits, hex, lower, upper, urlSafe, type Draw } from "./secret-draw.ts";
import { oneSecret } from "./secret-samples.ts";

/** Secrets that only their place tells, that the rules were made with. */

const login = (d: Draw): string => `${d.chars(base62, 7)}${d.chars("!*_+.-", 1)}${d.chars(base62, 6)}`;

export const places: Families["samples"] = [
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
    (d) => d.chars(base62, 12),
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
