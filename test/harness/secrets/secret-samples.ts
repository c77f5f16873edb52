import { pick, type Families } from "./secret-cases.ts";
import {
  base62,
  base64,
  digits,
  encode,
  encodeUrl,
  hex,
  jwt,
  lower,
  pem,
  upper,
  urlSafe,
  uuid,
  type Draw,
} from "./secret-draw.ts";

/** Secrets with a form or a place of their own, that the rules were made with. */

/** A token of an issuer, in one of several places. */
const issued = (family: string, make: (d: Draw) => string): Families["samples"][number] => [
  family,
  (d) => {
    const secret = make(d);
    const around = pick(d, [
      (s: string) => `export X=${s}\n`,
      (s: string) => `{"x":"${s}"}`,
      (s: string) => `curl -H 'X: ${s}' https://acme.dev`,
      (s: string) => `saved as ${s} just now`,
      (s: string) => JSON.stringify({ out: `ok\n${s}\n` }),
    ]);
    return { text: around(secret), secret };
  },
];

export const oneSecret = (
  family: string,
  make: (d: Draw) => string,
  around: (secret: string, d: Draw) => string,
): Families["samples"][number] => [
  family,
  (d) => {
    const secret = make(d);
    return { text: around(secret, d), secret };
  },
];

export const issuers: Families["samples"] = [
  issued("terraform cloud", (d) => `${d.chars(base62, 14)}.atlasv1.${d.chars(urlSafe, 67)}`),
  issued("discord bot", (d) => `M${d.chars(base62, 25)}.${d.chars(base62, 6)}.${d.chars(urlSafe, 38)}`),
  issued("mapbox", (d) => `sk.${encodeUrl(`{"u":"acme","a":"${d.chars(lower, 20)}"}`)}.${d.chars(urlSafe, 22)}`),
  issued("buildkite", (d) => `bkua_${d.chars(hex, 40)}`),
  issued("artifactory", (d) => `AKCp8${d.chars(base62, 68)}`),
  issued("dropbox", (d) => `sl.u.${d.chars(urlSafe, 130)}`),
  issued("posthog", (d) => `phx_${d.chars(base62, 43)}`),
  issued("launchdarkly", (d) => `sdk-${uuid(d)}`),
  issued(
    "extended private key",
    (d) => `xprv${d.chars("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", 107)}`,
  ),
  issued("slack", (d) => `xoxd-${d.chars(base62, 80)}`),
  issued("aws", (d) => `AKIA${d.chars(`${upper}234567`, 16)}`),
  issued("github", (d) => `github_pat_${d.chars(base62, 22)}_${d.chars(base62, 59)}`),
  issued("gitlab", (d) => `glpat-${d.chars(urlSafe, 20)}`),
  issued("stripe", (d) => `sk_live_${d.chars(base62, 24)}`),
  issued("anthropic", (d) => `sk-ant-api03-${d.chars(urlSafe, 93)}AA`),
  issued("openai", (d) => `sk-proj-${d.chars(urlSafe, 64)}`),
  issued("google", (d) => `AIza${d.chars(urlSafe, 35)}`),
  issued("npm", (d) => `npm_${d.chars(base62, 36)}`),
  issued("sendgrid", (d) => `SG.${d.chars(urlSafe, 22)}.${d.chars(urlSafe, 43)}`),
  issued("1password secret key", (d) => `A3-${[6, 6, 5, 5, 5, 5].map((n) => d.chars(upper + digits, n)).join("-")}`),
  issued("jwt", jwt),
  issued("circleci", (d) => `CCIPAT_${d.chars(base62, 22)}_${d.chars(hex, 40)}`),
  issued("contentful", (d) => `CFPAT-${d.chars(urlSafe, 43)}`),
  issued("aiven", (d) => `AVNS_${d.chars(urlSafe, 19)}`),
  issued("firecrawl", (d) => `fc-${d.chars(hex, 32)}`),
  issued("neon", (d) => `napi_${d.chars(lower + digits, 64)}`),
];

export const keys: Families["samples"] = [
  ...["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "DSA PRIVATE KEY"].flatMap(
    (label): Families["samples"] => {
      const whole = (d: Draw) => pem(d, label);
      return [
        oneSecret(`${label}, file`, whole, (s) => s),
        oneSecret(`${label}, cat -n`, whole, (s) => numbered(s, (at) => `${String(at).padStart(6)}\t`)),
        oneSecret(`${label}, numbers with an arrow`, whole, (s) => numbered(s, (at) => `${String(at).padStart(6)}→`)),
        oneSecret(`${label}, numbers with ->`, whole, (s) => numbered(s, (at) => `${at}->`)),
        oneSecret(`${label}, grep`, whole, (s) => numbered(s, (at) => `keys/id.pem:${at}:`)),
        oneSecret(
          `${label}, escaped`,
          (d) => pem(d, label, "\\n"),
          (s) => `{"private_key":"${s}\\n"}`,
        ),
        oneSecret(`${label}, indented`, whole, (s) => `key: |\n${s.replaceAll(/^/gm, "    ")}\nnext: 1`),
        oneSecret(`${label}, quoted lines`, whole, (s) => s.replaceAll(/^/gm, "> ")),
        oneSecret(
          `${label}, end cut off`,
          (d) => whole(d).slice(0, 480),
          (s) => s,
        ),
        oneSecret(
          `${label}, numbered, end cut off`,
          (d) => whole(d).slice(0, 480),
          (s) => numbered(s, (at) => `${String(at).padStart(6)}\t`),
        ),
        oneSecret(
          `${label}, beginning cut off`,
          (d) => whole(d).slice(200),
          (s) => s,
        ),
        oneSecret(
          `${label}, numbered, beginning cut off`,
          (d) => whole(d).slice(200),
          (s) => numbered(s, (at) => `${String(at + 4).padStart(6)}→`),
        ),
      ];
    },
  ),
  oneSecret(
    "kubeconfig",
    (d) => encode(pem(d, "RSA PRIVATE KEY")),
    (s, d) =>
      `users:\n- name: admin\n  user:\n    client-certificate-data: ${encode(`-----BEGIN CERTIFICATE-----\n${d.chars(base64, 64)}`)}\n    client-key-data: ${s}\n`,
  ),
  oneSecret(
    "base64 of a key",
    (d) => encode(pem(d, "PRIVATE KEY")),
    (s) => `echo ${s} | base64 -d > id`,
  ),
  oneSecret(
    "putty",
    (d) => Array.from({ length: 8 }, () => d.chars(base64, 64)).join("\n"),
    (s, d) =>
      `PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: ann\nPublic-Lines: 2\n${d.chars(base64, 64)}\n${d.chars(base64, 40)}\nPrivate-Lines: 8\n${s}\nPrivate-MAC: ${d.chars(hex, 64)}\n`,
  ),
  oneSecret(
    "JWK, RSA",
    (d) => d.chars(urlSafe, 342),
    (s, d) => JSON.stringify({ kty: "RSA", n: d.chars(urlSafe, 342), e: "AQAB", d: s, kid: "1" }),
  ),
  oneSecret(
    "JWK, EC, written over lines",
    (d) => d.chars(urlSafe, 43),
    (s, d) =>
      JSON.stringify({ d: s, kty: "EC", crv: "P-256", x: d.chars(urlSafe, 43), y: d.chars(urlSafe, 43) }, null, 2),
  ),
  oneSecret(
    "age",
    (d) => `AGE-SECRET-KEY-1${d.chars("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)}`,
    (s) => `# created: 2026\n${s}\n`,
  ),
  oneSecret(
    "XML key",
    (d) => `${d.chars(base64, 86)}==`,
    (s, d) =>
      `<RSAKeyValue><Modulus>${d.chars(base64, 86)}==</Modulus><Exponent>AQAB</Exponent><D>${s}</D></RSAKeyValue>`,
  ),
];

function numbered(text: string, number: (at: number) => string): string {
  return text
    .split("\n")
    .map((line, at) => `${number(at + 1)}${line}`)
    .join("\n");
}
