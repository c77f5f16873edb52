import type { Sample } from "./secret-cases.ts";
import {
  base62,
  base64,
  encode,
  encodeUrl,
  hex,
  lower,
  numbered,
  pem,
  urlSafe,
  pick,
  surrounded,
} from "./secret-draw.ts";
import type { Draw, Pattern } from "./secret-draw.ts";

/** Secrets with a form or a surrounding of their own, that the rules were made with. */

/** Where a token of an issuer may stand. */
const anywhere = [
  "export X=§\n",
  '{"x":"§"}',
  "curl -H 'X: §' https://acme.dev",
  "saved as § just now",
  '{"out":"ok\\n§\\n"}',
];

const issuers: readonly (readonly [family: string, secret: Pattern])[] = [
  ["terraform cloud", "«base62 14».atlasv1.«url 67»"],
  ["discord bot", "M«base62 25».«base62 6».«url 38»"],
  ["mapbox", (d) => `sk.${encodeUrl(`{"u":"acme","a":"${d.chars(lower, 20)}"}`)}.${d.chars(urlSafe, 22)}`],
  ["buildkite", "bkua_«hex 40»"],
  ["artifactory", "AKCp8«base62 68»"],
  ["dropbox", "sl.u.«url 130»"],
  ["posthog", "phx_«base62 43»"],
  ["launchdarkly", "sdk-«uuid»"],
  ["extended private key", "xprv«123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz 107»"],
  ["slack", "xoxd-«base62 80»"],
  ["aws", "AKIA«base32 16»"],
  ["github", "github_pat_«base62 22»_«base62 59»"],
  ["gitlab", "glpat-«url 20»"],
  ["stripe", "sk_live_«base62 24»"],
  ["anthropic", "sk-ant-api03-«url 93»AA"],
  ["openai", "sk-proj-«url 64»"],
  ["google", "AIza«url 35»"],
  ["npm", "npm_«base62 36»"],
  ["sendgrid", "SG.«url 22».«url 43»"],
  ["1password secret key", "A3-«caps 6»-«caps 6»-«caps 5»-«caps 5»-«caps 5»-«caps 5»"],
  ["jwt", "«jwt»"],
  ["circleci", "CCIPAT_«base62 22»_«hex 40»"],
  ["contentful", "CFPAT-«url 43»"],
  ["aiven", "AVNS_«url 19»"],
  ["firecrawl", "fc-«hex 32»"],
  ["neon", "napi_«low 64»"],
];

const keys: readonly Sample[] = [
  ...["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "DSA PRIVATE KEY"].flatMap(
    (label): Sample[] => {
      const whole = (d: Draw) => pem(d, label);
      return [
        [`${label}, file`, whole, "§"],
        [`${label}, cat -n`, whole, (s) => numbered(s, (at) => `${String(at).padStart(6)}\t`)],
        [`${label}, numbers with an arrow`, whole, (s) => numbered(s, (at) => `${String(at).padStart(6)}→`)],
        [`${label}, numbers with ->`, whole, (s) => numbered(s, (at) => `${at}->`)],
        [`${label}, grep`, whole, (s) => numbered(s, (at) => `keys/id.pem:${at}:`)],
        [`${label}, escaped`, (d) => pem(d, label, "\\n"), '{"private_key":"§\\n"}'],
        [`${label}, indented`, whole, (s) => `key: |\n${s.replaceAll(/^/gm, "    ")}\nnext: 1`],
        [`${label}, quoted lines`, whole, (s) => s.replaceAll(/^/gm, "> ")],
        [`${label}, end cut off`, (d) => whole(d).slice(0, 480), "§"],
        [
          `${label}, numbered, end cut off`,
          (d) => whole(d).slice(0, 480),
          (s) => numbered(s, (at) => `${String(at).padStart(6)}\t`),
        ],
        [`${label}, beginning cut off`, (d) => whole(d).slice(200), "§"],
        [
          `${label}, numbered, beginning cut off`,
          (d) => whole(d).slice(200),
          (s) => numbered(s, (at) => `${String(at + 4).padStart(6)}→`),
        ],
      ];
    },
  ),
  [
    "kubeconfig",
    (d) => encode(pem(d, "RSA PRIVATE KEY")),
    (s, d) =>
      `users:\n- name: admin\n  user:\n    client-certificate-data: ${encode(`-----BEGIN CERTIFICATE-----\n${d.chars(base64, 64)}`)}\n    client-key-data: ${s}\n`,
  ],
  ["base64 of a key", (d) => encode(pem(d, "PRIVATE KEY")), "echo § | base64 -d > id"],
  [
    "putty",
    (d) => Array.from({ length: 8 }, () => d.chars(base64, 64)).join("\n"),
    "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: ann\nPublic-Lines: 2\n«base64 64»\n«base64 40»\nPrivate-Lines: 8\n§\nPrivate-MAC: «hex 64»\n",
  ],
  ["JWK, RSA", "«url 342»", '{"kty":"RSA","n":"«url 342»","e":"AQAB","d":"§","kid":"1"}'],
  [
    "JWK, EC, written over lines",
    "«url 43»",
    '{\n  "d": "§",\n  "kty": "EC",\n  "crv": "P-256",\n  "x": "«url 43»",\n  "y": "«url 43»"\n}',
  ],
  ["age", "AGE-SECRET-KEY-1«QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L 58»", "# created: 2026\n§\n"],
  [
    "XML key",
    "«base64 86»==",
    "<RSAKeyValue><Modulus>«base64 86»==</Modulus><Exponent>AQAB</Exponent><D>§</D></RSAKeyValue>",
  ],
];

/** Secrets that only their surroundings tell. */
const login = "«base62 7»«!*_+.- 1»«base62 6»";
const encodedLogin = (d: Draw): string => encode(`ci:${d.chars(base62, 20)}`);

const places: readonly Sample[] = [
  ["curl -u", login, "curl -u ann:§ https://acme.dev"],
  ["curl -u, quoted", login, "curl -s -u 'ann:§' https://acme.dev"],
  ["curl -u, together", login, "curl -uann:§ https://acme.dev"],
  ["curl --user", login, "curl --user ann:§ https://acme.dev"],
  ["curl --user=", login, 'curl -X POST --user="ann:§" https://acme.dev'],
  ["curl behind the address", login, "curl https://acme.dev/a?b=1 \\\n  -u ann:§ \\\n  -o a"],
  ["curl as a list", login, 'spawn("curl", ["-u", "ann:§", "https://acme.dev"])'],
  ["httpie", login, "http -a ann:§ GET https://acme.dev"],
  ["address, / in the password", "«base62 8»/«base62 8»", "redis://:§@cache.internal:6379/0"],
  ["address, @ in the password", "«base62 6»@«base62 6»", "DATABASE_URL=postgres://app:§@db.internal:5432/shop"],
  ["address, @ and / in the password", "«base62 5»@«base62 3»/«base62 5»", "mysql://app:§@10.0.0.5:3306/shop?a=1"],
  ["address", "«base62 14»", "https://ann:§@git.acme.dev/a/b.git"],
  [
    "AWS, version 2",
    "«base62 27»%3D",
    "https://b.s3.amazonaws.com/k?AWSAccessKeyId=AKIA«upper 16»&Expires=1&Signature=§",
  ],
  ["AWS address, version 4", "«hex 64»", "https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=§&x=1"],
  [
    "GCS address, version 2",
    "«base62 340»%2B%3D%3D",
    "https://storage.googleapis.com/b/o?GoogleAccessId=a@b.iam.gserviceaccount.com&Expires=1&Signature=§",
  ],
  ["Azure SAS", "«base62 43»%3D", "https://a.blob.core.windows.net/c?sv=2024-11-04&ss=b&sig=§"],
  ["otpauth", "«base32 32»", "otpauth://totp/Acme:ann?secret=§&issuer=Acme"],
  ["redis.conf", "«base62 20»", "bind 127.0.0.1\nrequirepass §\nmaxmemory 1gb\n"],
  ["keytool", "«base62 14»", "keytool -genkey -storepass § -keypass § -alias a"],
  ["nmcli", "«base62 12»", "nmcli device wifi connect Home password §"],
  ["session cookie, PHP", "«low 26»", "curl -b 'PHPSESSID=§' https://acme.dev"],
  ["session cookie, Java", (d) => d.chars(hex, 32).toUpperCase(), "GET /a;jsessionid=§ HTTP/1.1"],
  ["session id", "«low 32»", "sessionid=§; Path=/"],
  ["mnemonic", "legal winner thank year wave sausage worth useful legal winner thank yellow", 'MNEMONIC="§"'],
  ["seed", "letter advice cage absurd amount doctor acoustic avoid letter advice cage above", "seed_phrase: §\n"],
  ["password field", login, '<input type="password" name="p" id="p" value="§">'],
  ["said in German", login, "Das Passwort lautet §, bitte nicht weitergeben."],
  ["said", login, "the password is § as always"],
  ["prompted", login, "Username: ann\nPassword:\n§\nWelcome"],
  ["Fastly header", "«url 32»", "Fastly-Key: §\n"],
  ["JFrog header", "«base62 73»", "X-JFrog-Art-Api: §\n"],
  ["bearer", "«base62 32»", "Authorization: Bearer §\n"],
  ["basic", encodedLogin, '-H "Authorization: Basic §"'],
  ["digest", "«hex 32»", "Proxy-Authorization: Digest §\n"],
  ["docker config", encodedLogin, '{"auths":{"r.acme.dev":{"auth":"§"}}}'],
  ["netrc", login, "machine a.dev\n  login ann\n  password §\n"],
  ["wordpress salt", (d) => `${d.chars(`${base62}$%^&{}|;,?`, 40)}9}k^D`, "define('AUTH_SALT',        '§');"],
  ["ADO.NET", "«base62 16»", "Server=db;User Id=sa;Pwd=§;Encrypt=true"],
  ["SQL", login, "ALTER USER app WITH ENCRYPTED PASSWORD '§';"],
];

export const samples: readonly Sample[] = [
  ...issuers.map(([family, secret]): Sample => [family, secret, (s, d) => surrounded(d, pick(d, anywhere), s)]),
  ...keys,
  ...places,
];
