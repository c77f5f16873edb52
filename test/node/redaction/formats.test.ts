import { expect, it } from "vitest";
import { redact } from "#src/redaction/redact.ts";
import {
  base62,
  base64,
  digits,
  draw,
  encode,
  encodeUrl,
  hex,
  lower,
  upper,
  urlSafe,
} from "#harness/secrets/secret-draw.ts";

const { chars } = draw(99);
const upperDigits = upper + digits;

/** Kind, then the token: what the issuer's format fixes is written out, the rest is drawn. */
const tokens: readonly (readonly [kind: string, token: string])[] = [
  ["shim-key", `shimkey-${chars(urlSafe, 48)}`],
  ["shim-token", `shim_${encodeUrl(`{"w":"team","i":"${chars(base62, 20)}","m":"laptop"}`)}.${chars(urlSafe, 43)}`],
  ["aws-bedrock-key", `ABSK${chars(base62, 100)}`],
  ["slack-token", `xapp-1-A${chars(upperDigits, 10)}-${chars(digits, 13)}-${chars(hex, 64)}`],
  ["google-oauth", `1//0${chars(urlSafe, 60)}`],
  ["rubygems-key", `rubygems_${chars(hex, 48)}`],
  ["crates-token", `cio${chars(base62, 32)}`],
  ["nuget-key", `oy2${chars(lower + digits, 43)}`],
  ["cloudflare-token", `cfut_${chars(base62, 48)}`],
  ["cloudflare-token", `v1.0-${chars(hex, 24)}-${chars(hex, 146)}`],
  ["mailgun-key", `key-${chars(hex, 32)}`],
  ["brevo-key", `xkeysib-${chars(hex, 64)}-${chars(base62, 16)}`],
  ["notion-token", `secret_${chars(base62, 43)}`],
  ["xai-key", `xai-${chars(base62, 80)}`],
  ["perplexity-key", `pplx-${chars(base62, 48)}`],
  ["replicate-token", `r8_${chars(base62, 37)}`],
  ["grafana-token", `glc_${chars(base64, 60)}=`],
  ["1password-token", `ops_${encode(`{"secretKey":"${chars(hex, 60)}"}`).replace(/=+$/, "")}`],
  ["heroku-key", `HRKU-${chars(urlSafe, 60)}`],
  ["atlassian-token", `ATATT3xFfGF0${chars(urlSafe, 170)}=${chars(upperDigits, 8)}`],
  ["sentry-token", `sntrys_${chars(base64, 90)}`],
  ["newrelic-key", `NRAK-${chars(upperDigits, 27)}`],
  ["planetscale-token", `pscale_tkn_${chars(urlSafe, 43)}`],
  ["supabase-key", `sb_secret_${chars(urlSafe, 31)}`],
  ["supabase-key", `sbp_${chars(hex, 40)}`],
  ["doppler-token", `dp.st.prd.${chars(base62, 43)}`],
  ["pulumi-token", `pul-${chars(hex, 40)}`],
  ["square-token", `sq0csp-${chars(urlSafe, 43)}`],
  ["airtable-token", `pat${chars(base62, 14)}.${chars(hex, 64)}`],
  ["postman-key", `PMAK-${chars(hex, 24)}-${chars(hex, 34)}`],
  ["sourcegraph-token", `sgp_${chars(hex, 16)}_${chars(hex, 40)}`],
  ["tailscale-key", `tskey-auth-${chars(base62, 16)}-${chars(base62, 32)}`],
  ["fly-token", `fm2_${chars(base64, 200)}`],
  ["netlify-token", `nfp_${chars(base62, 36)}`],
  ["langsmith-key", `lsv2_pt_${chars(hex, 32)}_${chars(hex, 10)}`],
  ["tavily-key", `tvly-dev-${chars(base62, 32)}`],
  ["pinecone-key", `pcsk_${chars(base62, 60)}`],
  ["resend-key", `re_${chars(base62, 8)}_${chars(base62, 24)}`],
  ["gitlab-token", `glpat-${chars(base62, 27)}.01.${chars(lower + digits, 9)}`],
  ["slack-webhook", `hooks.slack.com/triggers/T${chars(upperDigits, 8)}/${chars(digits, 13)}/${chars(hex, 32)}`],
];

it.each(tokens)("knows %s by its format alone", (kind, token) => {
  expect(redact(`a (${token}) b`)).toEqual({ text: `a ([redacted:${kind}]) b`, count: 1 });
});

it("a known prefix before words is no token", () => {
  const names = [
    "sk-loading-indicator-with-three-dots-animation",
    "sk-ant-design-component-library-theme",
    "sb_secret_name_of_the_project_in_vault",
    "vcr_recordingwithoutanynumbers",
    "secret_garden_of_the_hidden_flowers_near_the_old_house_x",
    "ghp_exampleexampleexampleexampleexampleexample",
    `AKIAEXAMPLE${"Q".repeat(9)}`,
    "eyJhbGciOiJIUzI1NiJ9 is the header of a token in JWT form",
  ];
  for (const text of [...names, names.join(" ")]) expect(redact(text)).toEqual({ text, count: 0 });
});

it("a real token after a refused one of its kind is still found", () => {
  const token = `ghp_${chars(base62, 36)}`;
  expect(redact(`ghp_exampleexampleexampleexampleexampleexample ${token}`).text).toMatch(/ \[redacted:github-token\]$/);
});
