import { matchAt, matchEnd, type Finding, type Rule } from "./findings.ts";
import { isRandom } from "./randomness.ts";

/**
 * Longer first: backwards, `sb_secret_` would else match as `secret_`. Needs prefixes with a class,
 * since V8 sorts plain alternatives by their first character, in a lookbehind too.
 */
function alternation(matchesPrefix: (prefix: string) => boolean): string {
  const prefixes = new Set(formats.map(({ prefix }) => prefix).filter(matchesPrefix));
  return [...prefixes].sort((a, b) => b.length - a.length).join("|");
}

/** The 40 characters after an AWS key id, as in the console's CSV file. */
const awsSecret = /["']?[\s,;:|]{1,4}["']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/y;
/** Tokens found by a mark of at most six characters: V8 finds longer ones more slowly. */
const markedFormats = [
  { kind: "crates-token", mark: "cio", before: 0, token: /cio[A-Za-z0-9]{32}(?![A-Za-z0-9])/y },
  { kind: "databricks-token", mark: "dapi", before: 0, token: /dapi[0-9a-fA-F]{32}(?:-\d)?/y },
  { kind: "extended-private-key", mark: "xprv", before: 0, token: /xprv[1-9A-HJ-NP-Za-km-z]{100,112}/y },
  {
    kind: "azure-secret",
    mark: "Q~",
    before: 4,
    token: /(?<![_~.-])[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}(?![\w~-])/y,
  },
  {
    kind: "ansible-vault",
    mark: "$ANSIB",
    before: 0,
    token: /\$ANSIBLE_VAULT;[\d.]{1,5};AES256(?:;[\w.-]{1,64})?(?:(?:\s|\\{1,8}[nr]){1,40}[0-9a-f]{20,80}){1,2000}/y,
  },
  { kind: "terraform-token", mark: ".atlas", before: 14, token: /[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}/y },
];

function findTokens(text: string, first: RegExp): Finding[] {
  const findings: Finding[] = [];
  const rejectedUntil = new Map<TokenFormat, number>();
  first.lastIndex = 0;
  for (let match = first.exec(text); match; match = first.exec(text)) {
    const behind = match.slice(1).find((group) => group !== undefined);
    const start = behind === undefined ? match.index : first.lastIndex - behind.length;
    const found = isBoundary(text, start) ? tokenAt(text, start, rejectedUntil) : null;
    if (!found) continue;
    findings.push(found);
    first.lastIndex = found.end;
    if (found.kind === "aws-access-key") findings.push(...awsSecretAfter(text, found.end));
  }
  return findings;
}

function awsSecretAfter(text: string, index: number): Finding[] {
  const secret = matchAt(awsSecret, text, index)?.[1];
  if (!secret || !isRandom(secret)) return [];
  return [{ start: awsSecret.lastIndex - secret.length, end: awsSecret.lastIndex, kind: "aws-secret-key" }];
}

function tokenAt(text: string, start: number, rejectedUntil: Map<TokenFormat, number>): Finding | null {
  for (const format of byStart.get(text.charAt(start)) ?? []) {
    if (start < (rejectedUntil.get(format) ?? 0)) continue;
    const value = matchAt(format.token, text, start)?.[0];
    if (value === undefined) continue;
    if (isAccepted(value, format)) {
      return { start: start + secretOffset(format.kind, value), end: start + value.length, kind: format.kind };
    }
    rejectedUntil.set(format, start + value.length);
  }
  return null;
}

function isAccepted(value: string, { isToken }: TokenFormat): boolean {
  return !/example|x{6}|\*{4}/i.test(value) && (isToken?.(value) ?? true);
}

function secretOffset(kind: string, value: string): number {
  return kind === "url-signature" ? value.indexOf("=") + 1 : 0;
}

/** Escape sequences, also written out as in JSON, and terminal colours are no part of a word. */
function isBoundary(text: string, index: number): boolean {
  if (index === 0 || !/[A-Za-z0-9]/.test(text.charAt(index - 1)) || /[:?&;-]/.test(text.charAt(index))) return true;
  return /\\(?:[nrtbf]|u[0-9a-fA-F]{4})$|%[0-9A-Fa-f]{2}$|\[[0-9;]{0,8}m$/.test(
    text.slice(Math.max(0, index - 10), index),
  );
}

interface TokenFormat {
  readonly kind: string;
  readonly prefix: string;
  readonly token: RegExp;
  readonly isToken?: (value: string) => boolean;
}

/**
 * Documented by the issuers; lengths are lower bounds, since they grow. Patterns are sticky and end
 * with a greedy class or a fixed count, so that a failed try costs a bounded time.
 */
const formats: readonly TokenFormat[] = [
  {
    kind: "aws-access-key",
    prefix: "A(?:KIA|SIA|BIA|CCA)[A-Z2-7]",
    token: /A[A-Z]{3}[A-Z2-7]{16}(?![A-Za-z0-9])/y,
  },
  { kind: "aws-bedrock-key", prefix: "ABSK[A-Za-z0-9]", token: /ABSK[A-Za-z0-9+/]{60,}={0,2}/y },
  // Not `shimkey-`: among plain alternatives V8 would find Mailgun's first.
  { kind: "shim-key", prefix: "shim[k]ey-", token: /shimkey-[\w-]{48}/y },
  // The payload begins with an open brace, unlike the names of SHIM's tools.
  { kind: "shim-token", prefix: "shim_", token: /shim_eyJ[\w-]{40,2000}\.[\w-]{43}/y },
  { kind: "github-token", prefix: "gh[pousr]_", token: /gh[pousr]_[A-Za-z0-9_]{30,}(?:\.[\w-]{10,2000}){0,2}/y },
  { kind: "github-token", prefix: "github_pat_", token: /github_pat_\w{30,}/y },
  {
    kind: "gitlab-token",
    prefix: "gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|oas|imt|ffct)-",
    token: /gl[a-z]{2,5}-[\w-]{20,}(?:\.[\w-]{2,40}){0,2}/y,
  },
  { kind: "slack-token", prefix: "xox[a-z]-", token: /xox[a-z]-[\w-]{10,}/y },
  { kind: "slack-token", prefix: "xapp-", token: /xapp-\d-[\w-]{10,}/y },
  { kind: "slack-webhook", prefix: "hooks\\.slack\\.", token: /hooks\.slack\.com\/[a-z]+\/[\w/]{20,}/y },
  {
    kind: "discord-webhook",
    prefix: "discord(?:app)?\\.",
    token: /discord(?:app)?\.com\/api\/webhooks\/\d{15,20}\/[\w-]{40,}/y,
  },
  { kind: "telegram-token", prefix: ":AA[\\w-]", token: /:AA[\w-]{32,33}(?![\w-])/y },
  { kind: "stripe-key", prefix: "[sr]k_(?:live|test)_", token: /[sr]k_(?:live|test)_[A-Za-z0-9]{16,}/y },
  { kind: "webhook-secret", prefix: "whsec_", token: /whsec_[A-Za-z0-9+/]{20,}={0,2}/y },
  { kind: "alibaba-key", prefix: "LTAI[A-Za-z0-9]", token: /LTAI[A-Za-z0-9]{12,26}(?![A-Za-z0-9])/y },
  { kind: "easypost-key", prefix: "EZ[AT]K[A-Za-z0-9]", token: /EZ[AT]K[A-Za-z0-9]{50,}/y },
  { kind: "openshift-token", prefix: "sha256~", token: /sha256~[\w-]{43}(?![\w-])/y },
  { kind: "anthropic-key", prefix: "sk-ant-", token: /(?<![_-])sk-ant-[\w-]{20,}/y, isToken: hasDigitOrCapital },
  {
    kind: "openai-key",
    prefix: "sk-(?:proj|svcacct|admin|None)-",
    token: /(?<![_-])sk-\w+-[\w-]{20,}/y,
    isToken: hasDigitOrCapital,
  },
  {
    kind: "openai-key",
    prefix: "sk-",
    token: /(?<![_-])sk-[\w-]{20,}/y,
    isToken: (value) => isRandom(value.slice(3)),
  },
  { kind: "google-api-key", prefix: "AIza", token: /AIza[\w-]{35}/y },
  { kind: "google-oauth", prefix: "ya29\\.", token: /ya29\.[\w-]{20,}/y },
  { kind: "google-oauth", prefix: "GOCSPX-", token: /GOCSPX-[\w-]{24,}/y },
  { kind: "google-oauth", prefix: "1//0", token: /1\/\/0[\w-]{30,}/y },
  { kind: "npm-token", prefix: "npm_", token: /npm_[A-Za-z0-9]{36,}/y },
  { kind: "pypi-token", prefix: "pypi-", token: /pypi-AgE[\w-]{50,}/y },
  { kind: "rubygems-key", prefix: "rubygems_", token: /rubygems_[0-9a-f]{48}/y },
  { kind: "nuget-key", prefix: "oy2", token: /oy2[a-z0-9]{43}(?![A-Za-z0-9])/y },
  { kind: "docker-token", prefix: "dckr_", token: /dckr_[a-z]{3}_[\w-]{27,}/y },
  { kind: "cloudflare-token", prefix: "cf(?:k|ut|at)_", token: /cf[a-z]{1,2}_[A-Za-z0-9]{40,}/y },
  { kind: "cloudflare-token", prefix: "v1\\.0-", token: /v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}/y },
  { kind: "twilio-key", prefix: "SK[0-9a-f][0-9a-f]", token: /SK[0-9a-f]{32}(?![A-Za-z0-9])/y },
  { kind: "sendgrid-key", prefix: "SG\\.", token: /SG\.[\w-]{16,40}\.[\w-]{32,}/y },
  { kind: "mailgun-key", prefix: "key-", token: /key-[0-9a-f]{32}(?![A-Za-z0-9])/y },
  { kind: "brevo-key", prefix: "xkeysib-", token: /xkeysib-[0-9a-f]{64}-\w{16}/y },
  { kind: "shopify-token", prefix: "shp(?:at|ca|pa|ss|tk)_", token: /shp\w{2}_[A-Za-z0-9]{32,}/y },
  { kind: "linear-key", prefix: "lin_(?:api|oauth)_", token: /lin_[a-z]+_\w{32,}/y },
  { kind: "notion-token", prefix: "ntn_", token: /ntn_[A-Za-z0-9]{40,}/y },
  { kind: "notion-token", prefix: "secret_", token: /secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])/y, isToken: isRandom },
  { kind: "huggingface-token", prefix: "hf_", token: /hf_[A-Za-z0-9]{34,}/y },
  { kind: "groq-key", prefix: "gsk_", token: /gsk_[A-Za-z0-9]{40,}/y },
  { kind: "xai-key", prefix: "xai-", token: /xai-[A-Za-z0-9]{60,}/y },
  { kind: "perplexity-key", prefix: "pplx-", token: /pplx-[A-Za-z0-9]{40,}/y },
  { kind: "replicate-token", prefix: "r8_", token: /r8_[A-Za-z0-9]{37,}/y },
  { kind: "grafana-token", prefix: "glc_", token: /glc_[A-Za-z0-9+/]{32,}={0,2}/y },
  { kind: "grafana-token", prefix: "glsa_", token: /glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}/y },
  { kind: "vault-token", prefix: "hv[sbr]\\.", token: /hv[sbr]\.[\w-]{24,}/y },
  { kind: "1password-token", prefix: "ops_", token: /ops_ey[\w+/=-]{60,}/y },
  { kind: "digitalocean-token", prefix: "do[oprt]_v1_", token: /do[oprt]_v1_[0-9a-f]{64}/y },
  { kind: "heroku-key", prefix: "HRKU-", token: /HRKU-[\w-]{36,}/y },
  {
    kind: "vercel-token",
    prefix: "vc[piark]_",
    token: /vc[piark]_[A-Za-z0-9]{20,}/y,
    isToken: hasDigitOrCapital,
  },
  { kind: "figma-token", prefix: "fig[dour]_", token: /fig[dour]_[\w-]{40,}/y },
  {
    kind: "atlassian-token",
    prefix: "AT(?:ATT3|CTT3|BB)",
    token: /AT[ABCT]{2,3}[\w=-]{28,}/y,
    isToken: isRandom,
  },
  { kind: "sentry-token", prefix: "sntr[yu]s_", token: /sntr[yu]s_[\w+/-]{40,}={0,2}/y },
  { kind: "newrelic-key", prefix: "NRAK-", token: /NRAK-[A-Z0-9]{27}/y },
  { kind: "planetscale-token", prefix: "pscale_", token: /pscale_[a-z]+_[\w.=-]{32,}/y },
  {
    kind: "supabase-key",
    prefix: "sb(?:p|_secret)_",
    token: /sb\w{1,7}_[\w-]{20,}/y,
    isToken: hasDigitOrCapital,
  },
  { kind: "doppler-token", prefix: "dp\\.(?:pt|st|ct|sa|scim|audit)\\.", token: /dp\.[a-z]+\.[\w.-]{40,}/y },
  { kind: "pulumi-token", prefix: "pul-", token: /pul-[0-9a-f]{40}/y },
  { kind: "age-key", prefix: "AGE-SECRET-KEY-", token: /AGE-SECRET-KEY-1[0-9A-Z]{50,}/y },
  { kind: "square-token", prefix: "sq0[a-z]{3}-", token: /sq0[a-z]{3}-[\w-]{22,}/y },
  { kind: "airtable-token", prefix: "pat[A-Za-z0-9]{14}\\.", token: /pat\w{14}\.[0-9a-f]{64}/y },
  { kind: "postman-key", prefix: "PMAK-", token: /PMAK-[0-9a-f]{24}-[0-9a-f]{34}/y },
  { kind: "sourcegraph-token", prefix: "sgp_", token: /sgp_(?:[0-9a-f]{16}_)?[0-9a-f]{40}/y },
  { kind: "tailscale-key", prefix: "tskey-[a-z]{2,12}-", token: /tskey-[a-z]+-[\w-]{16,}/y },
  { kind: "fly-token", prefix: "fm[12]r?_", token: /fm[12]r?_[A-Za-z0-9+/]{60,}[\w+/=,]*/y },
  { kind: "netlify-token", prefix: "nfp_", token: /nfp_[A-Za-z0-9]{36}/y },
  { kind: "langsmith-key", prefix: "lsv2_", token: /lsv2_[a-z]{2}_[0-9a-f]{32}_[0-9a-f]{10}/y },
  { kind: "tavily-key", prefix: "tvly-", token: /tvly-[\w-]{24,}/y, isToken: hasDigitOrCapital },
  { kind: "pinecone-key", prefix: "pcsk_", token: /pcsk_\w{30,}/y },
  { kind: "resend-key", prefix: "re_[A-Za-z0-9]{8}_", token: /re_\w{8}_[A-Za-z0-9]{24}/y, isToken: isRandom },
  { kind: "1password-key", prefix: "A3-", token: /A3-[A-Z0-9]{6}(?:-[A-Z0-9]{5,11}){4,6}(?![A-Za-z0-9])/y },
  { kind: "adobe-secret", prefix: "p8e-", token: /p8e-[A-Za-z0-9_-]{32,}/y },
  { kind: "aiven-key", prefix: "AVNS_", token: /AVNS_[\w-]{16,}/y },
  { kind: "artifactory-key", prefix: "AKC[a-z0-9]", token: /AKC[a-z0-9][A-Za-z0-9]{60,}/y },
  { kind: "buildkite-token", prefix: "bk(?:ua|ct|pi|pr)_", token: /bk[a-z]{2}_[0-9a-zA-Z]{32,}/y },
  { kind: "circleci-token", prefix: "CCIP(?:AT|RJ)_", token: /CCIP[A-Z]{2}_\w{30,}/y },
  { kind: "clojars-token", prefix: "CLOJARS_", token: /CLOJARS_[0-9a-zA-Z]{50,}/y },
  { kind: "contentful-token", prefix: "CFPAT-", token: /CFPAT-[\w-]{40,}/y },
  { kind: "dbt-token", prefix: "dbt[cu]_", token: /dbt[cu]_[\w-]{30,}/y, isToken: hasDigitOrCapital },
  {
    kind: "discord-token",
    prefix: "[MNO][\\w-]{23,27}\\.[\\w-]{6}\\.",
    token: /[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}/y,
  },
  { kind: "docker-swarm-token", prefix: "SWMTKN-", token: /SWMTKN-\d-[0-9a-z]{40,}-[0-9a-z]{20,}/y },
  { kind: "dropbox-token", prefix: "sl\\.", token: /sl\.(?:u\.)?[\w-]{60,}/y },
  { kind: "duffel-token", prefix: "duffel_(?:live|test)_", token: /duffel_[a-z]{4}_[\w-]{40,}/y },
  { kind: "dynatrace-token", prefix: "dt0[a-z]\\d\\d\\.", token: /dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}/y },
  { kind: "elevenlabs-key", prefix: "sk_", token: /sk_[0-9a-f]{48}(?![A-Za-z0-9])/y },
  { kind: "firecrawl-key", prefix: "fc-", token: /fc-[0-9a-f]{32}(?![\w-])/y },
  { kind: "flutterwave-key", prefix: "FLWSECK(?:_TEST)?-", token: /FLWSECK(?:_TEST)?-[0-9a-zA-Z]{12,}(?:-X)?/y },
  { kind: "frameio-token", prefix: "fio-u-", token: /fio-u-[\w-]{50,}/y },
  { kind: "cloudflare-token", prefix: "eyJ", token: /eyJhIjoi[A-Za-z0-9+/]{60,}={0,2}/y },
  { kind: "grafana-key", prefix: "eyJ", token: /eyJrIjoi[A-Za-z0-9+/]{60,}={0,2}/y },
  { kind: "harness-token", prefix: "[ps]at\\.", token: /[ps]at\.[\w-]{22}\.[0-9a-zA-Z]{24}\.[0-9a-zA-Z]{20}/y },
  { kind: "honeycomb-key", prefix: "hc[abx](?:ik|lk|mk)_", token: /hc[a-z]{3}_[0-9a-z]{50,}/y },
  {
    kind: "hubspot-token",
    prefix: "pat-[a-z]{2}\\d-",
    token: /pat-[a-z]{2}\d-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/y,
  },
  { kind: "infracost-key", prefix: "ico-", token: /ico-[A-Za-z0-9]{32}(?![\w-])/y, isToken: isRandom },
  { kind: "jina-key", prefix: "jina_", token: /jina_[0-9a-zA-Z_-]{40,}/y },
  { kind: "launchdarkly-key", prefix: "sdk-", token: /sdk-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/y },
  { kind: "mapbox-token", prefix: "sk\\.", token: /sk\.eyJ[\w-]{20,}\.[\w-]{20,}/y },
  { kind: "mongodb-secret", prefix: "mdb_sa_sk_", token: /mdb_sa_sk_[\w-]{30,}/y },
  { kind: "n8n-key", prefix: "n8n_api_", token: /n8n_api_[0-9a-zA-Z.]{30,}/y },
  { kind: "neon-key", prefix: "napi_", token: /napi_[0-9a-z]{40,}/y },
  { kind: "netlify-token", prefix: "nf[cobuk]_", token: /nf[a-z]_[A-Za-z0-9]{36}/y },
  { kind: "newrelic-key", prefix: "NR(?:II|AA|SP|RA)-", token: /NR[A-Z]{2}-[\w-]{27,}/y },
  { kind: "nvidia-key", prefix: "nvapi-", token: /nvapi-[\w-]{40,}/y },
  { kind: "paddle-key", prefix: "pdl_(?:live|sdbx)_", token: /pdl_[a-z]+_apikey_\w{40,}/y },
  {
    kind: "plaid-token",
    prefix: "access-(?:production|development|sandbox)-",
    token: /access-[a-z]+-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/y,
  },
  { kind: "polar-token", prefix: "polar_(?:oat|pat|rst)_", token: /polar_[a-z]+_[0-9a-zA-Z]{30,}/y },
  { kind: "posthog-key", prefix: "phx_", token: /phx_[A-Za-z0-9]{30,}/y },
  { kind: "prefect-key", prefix: "pn[ub]_", token: /pn[ub]_[A-Za-z0-9]{36}/y },
  { kind: "readme-key", prefix: "rdme_", token: /rdme_[0-9a-z]{60,}/y },
  { kind: "scalingo-token", prefix: "tk-us-", token: /tk-us-[\w-]{40,}/y },
  { kind: "shippo-token", prefix: "shippo_(?:live|test)_", token: /shippo_[a-z]{4}_[0-9a-f]{40}/y },
  { kind: "snyk-token", prefix: "snyk_[us]at\\.", token: /snyk_[us]at\.[\w.-]{30,}/y },
  { kind: "sonar-token", prefix: "sq[aup]_", token: /sq[aup]_[0-9a-f]{40}/y },
  { kind: "typeform-token", prefix: "tfp_", token: /tfp_[\w-]{40,}/y },
  { kind: "url-signature", prefix: "[?&;]sig=", token: /.sig=[\w%+/-]{20,}={0,2}/y },
  { kind: "url-signature", prefix: "-Signature=", token: /-Signature=[0-9a-fA-F]{40,}/y },
  { kind: "jwt", prefix: "eyJ", token: /(?<![_-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*){1,3}/y },
  { kind: "jwt", prefix: "eyJ", token: /(?<![_-])eyJ[\w-]{8,}\.(?:[\w-]*\.){3}[\w-]{8,}/y },
];

function hasDigitOrCapital(value: string): boolean {
  return /[0-9A-Z]/.test(value.slice(7));
}

const pivots = ["_", "-", "\\.", "=", "~", "J", "2"];

// Skips most pivots at once: lines of hyphens, ends of sentences, variables.
const behindPivots = pivots.map((end) => {
  const before = end === "\\." ? "[\\w-]" : "[A-Za-z0-9]";
  return `${end}(?<=${before}${end})(?<=(${alternation((prefix) => prefix.endsWith(end))}))`;
});

/** Finding the rare separator first costs a third of trying each prefix everywhere. */
const prefixes = [
  new RegExp(behindPivots.join("|"), "g"),
  new RegExp(
    alternation((prefix) => !pivots.some((end) => prefix.endsWith(end))),
    "g",
  ),
];

/** By the first character. */
const byStart = new Map<string, TokenFormat[]>();
for (const format of formats) {
  const starts = /^\[([^\]]+)\]/.exec(format.prefix)?.[1] ?? format.prefix.charAt(0);
  for (const start of starts) byStart.set(start, [...(byStart.get(start) ?? []), format]);
}

export const knownTokens: readonly Rule[] = [
  ...prefixes.map((first): Rule => ({ marks: [first], find: (text) => findTokens(text, first) })),
  ...markedFormats.map(({ kind, mark, before, token }): Rule => ({
    marks: [mark],
    find(text) {
      const findings: Finding[] = [];
      for (let at = text.indexOf(mark); at !== -1; at = text.indexOf(mark, Math.max(token.lastIndex, at + 1))) {
        const start = at - before;
        const end = matchEnd(token, text, Math.max(0, start));
        if (end !== null && isBoundary(text, start)) findings.push({ start, end, kind });
      }
      return findings;
    },
  })),
];
