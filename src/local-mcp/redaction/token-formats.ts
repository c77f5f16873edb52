import type { Finding } from "./findings.ts";
import { isRandom } from "./randomness.ts";

interface Format {
  readonly kind: string;
  /** What the first pass looks for: the fixed characters at the start, as a pattern; at best up to a `_`, `-` or `.`. */
  readonly prefix: string;
  /** The whole token, from the prefix on. Made when first needed: a hook has no time to make them all. */
  readonly token: () => RegExp;
  /** For prefixes that stand in ordinary names too. */
  readonly isToken?: (value: string) => boolean;
}

/**
 * Formats whose prefix says what they are, as their issuers document them (lengths are lower bounds, since they grow).
 * Every pattern is sticky and ends with its own greedy class or a fixed count, so that a failed try costs a bounded time.
 */
const formats: readonly Format[] = [
  {
    kind: "aws-access-key",
    prefix: "A(?:KIA|SIA|BIA|CCA)[A-Z2-7]",
    token: () => /A[A-Z]{3}[A-Z2-7]{16}(?![A-Za-z0-9])/y,
  },
  { kind: "aws-bedrock-key", prefix: "ABSK[A-Za-z0-9]", token: () => /ABSK[A-Za-z0-9+/]{60,}={0,2}/y },
  // Not `shimkey-`: behind its separator that of Mailgun would be seen first.
  { kind: "shim-key", prefix: "shimkey-[\\w-]", token: () => /shimkey-[\w-]{48}/y },
  // SHIM's own: the payload begins with an open brace, unlike the names of its tools.
  { kind: "shim-token", prefix: "shim_eyJ", token: () => /shim_eyJ[\w-]{40,2000}\.[\w-]{43}/y },
  { kind: "github-token", prefix: "gh[pousr]_", token: () => /gh[pousr]_[A-Za-z0-9_]{30,}(?:\.[\w-]{10,2000}){0,2}/y },
  { kind: "github-token", prefix: "github_pat_", token: () => /github_pat_\w{30,}/y },
  {
    kind: "gitlab-token",
    prefix: "gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|oas|imt|ffct)-",
    token: () => /gl[a-z]{2,5}-[\w-]{20,}(?:\.[\w-]{2,40}){0,2}/y,
  },
  { kind: "slack-token", prefix: "xox[a-z]-", token: () => /xox[a-z]-[\w-]{10,}/y },
  { kind: "slack-token", prefix: "xapp-", token: () => /xapp-\d-[\w-]{10,}/y },
  { kind: "slack-webhook", prefix: "hooks\\.slack\\.", token: () => /hooks\.slack\.com\/[a-z]+\/[\w/]{20,}/y },
  { kind: "discord-webhook", prefix: "api/webhooks/", token: () => /api\/webhooks\/\d{15,20}\/[\w-]{40,}/y },
  { kind: "telegram-token", prefix: ":AA[\\w-]", token: () => /:AA[\w-]{32,33}(?![\w-])/y },
  { kind: "stripe-key", prefix: "[sr]k_(?:live|test)_", token: () => /[sr]k_(?:live|test)_[A-Za-z0-9]{16,}/y },
  { kind: "webhook-secret", prefix: "whsec_", token: () => /whsec_[A-Za-z0-9+/]{20,}={0,2}/y },
  { kind: "anthropic-key", prefix: "sk-ant-", token: () => /(?<![_-])sk-ant-[\w-]{20,}/y, isToken: hasDigitOrCapital },
  {
    kind: "openai-key",
    prefix: "sk-(?:proj|svcacct|admin|None)-",
    token: () => /(?<![_-])sk-\w+-[\w-]{20,}/y,
    isToken: hasDigitOrCapital,
  },
  {
    kind: "openai-key",
    prefix: "sk-",
    token: () => /(?<![_-])sk-[\w-]{20,}/y,
    isToken: (value) => isRandom(value.slice(3)),
  },
  { kind: "google-api-key", prefix: "AIza", token: () => /AIza[\w-]{35}/y },
  { kind: "google-oauth", prefix: "ya29\\.", token: () => /ya29\.[\w-]{20,}/y },
  { kind: "google-oauth", prefix: "GOCSPX-", token: () => /GOCSPX-[\w-]{24,}/y },
  { kind: "google-oauth", prefix: "1//0", token: () => /1\/\/0[\w-]{30,}/y },
  { kind: "npm-token", prefix: "npm_", token: () => /npm_[A-Za-z0-9]{36,}/y },
  { kind: "pypi-token", prefix: "pypi-", token: () => /pypi-AgE[\w-]{50,}/y },
  { kind: "rubygems-key", prefix: "rubygems_", token: () => /rubygems_[0-9a-f]{48}/y },
  {
    kind: "crates-token",
    prefix: "cio[A-Za-z0-9]",
    token: () => /cio[A-Za-z0-9]{32}(?![A-Za-z0-9])/y,
    isToken: isRandom,
  },
  { kind: "nuget-key", prefix: "oy2[a-z0-9]", token: () => /oy2[a-z0-9]{43}(?![A-Za-z0-9])/y },
  { kind: "docker-token", prefix: "dckr_", token: () => /dckr_[a-z]{3}_[\w-]{27,}/y },
  { kind: "cloudflare-token", prefix: "cf(?:k|ut|at)_", token: () => /cf[a-z]{1,2}_[A-Za-z0-9]{40,}/y },
  { kind: "cloudflare-token", prefix: "v1\\.0-", token: () => /v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}/y },
  { kind: "twilio-key", prefix: "SK[0-9a-f][0-9a-f]", token: () => /SK[0-9a-f]{32}(?![A-Za-z0-9])/y },
  { kind: "sendgrid-key", prefix: "SG\\.", token: () => /SG\.[\w-]{16,40}\.[\w-]{32,}/y },
  { kind: "mailgun-key", prefix: "key-", token: () => /key-[0-9a-f]{32}(?![A-Za-z0-9])/y },
  { kind: "brevo-key", prefix: "xkeysib-", token: () => /xkeysib-[0-9a-f]{64}-\w{16}/y },
  { kind: "shopify-token", prefix: "shp(?:at|ca|pa|ss|tk)_", token: () => /shp\w{2}_[A-Za-z0-9]{32,}/y },
  { kind: "linear-key", prefix: "lin_(?:api|oauth)_", token: () => /lin_[a-z]+_\w{32,}/y },
  { kind: "notion-token", prefix: "ntn_", token: () => /ntn_[A-Za-z0-9]{40,}/y },
  { kind: "notion-token", prefix: "secret_", token: () => /secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])/y, isToken: isRandom },
  { kind: "huggingface-token", prefix: "hf_", token: () => /hf_[A-Za-z0-9]{34,}/y },
  { kind: "groq-key", prefix: "gsk_", token: () => /gsk_[A-Za-z0-9]{40,}/y },
  { kind: "xai-key", prefix: "xai-", token: () => /xai-[A-Za-z0-9]{60,}/y },
  { kind: "perplexity-key", prefix: "pplx-", token: () => /pplx-[A-Za-z0-9]{40,}/y },
  { kind: "replicate-token", prefix: "r8_", token: () => /r8_[A-Za-z0-9]{37,}/y },
  { kind: "grafana-token", prefix: "glc_", token: () => /glc_[A-Za-z0-9+/]{32,}={0,2}/y },
  { kind: "grafana-token", prefix: "glsa_", token: () => /glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}/y },
  { kind: "vault-token", prefix: "hv[sbr]\\.", token: () => /hv[sbr]\.[\w-]{24,}/y },
  { kind: "1password-token", prefix: "ops_", token: () => /ops_ey[\w+/=-]{60,}/y },
  { kind: "databricks-token", prefix: "dapi[0-9a-fA-F]", token: () => /dapi[0-9a-fA-F]{32}(?:-\d)?/y },
  { kind: "digitalocean-token", prefix: "do[oprt]_v1_", token: () => /do[oprt]_v1_[0-9a-f]{64}/y },
  { kind: "heroku-key", prefix: "HRKU-", token: () => /HRKU-[\w-]{36,}/y },
  {
    kind: "vercel-token",
    prefix: "vc[piark]_",
    token: () => /vc[piark]_[A-Za-z0-9]{20,}/y,
    isToken: hasDigitOrCapital,
  },
  { kind: "figma-token", prefix: "fig[dour]_", token: () => /fig[dour]_[\w-]{40,}/y },
  {
    kind: "atlassian-token",
    prefix: "AT(?:ATT3|CTT3|BB)",
    token: () => /AT[ABCT]{2,3}[\w=-]{28,}/y,
    isToken: isRandom,
  },
  { kind: "sentry-token", prefix: "sntr[yu]s_", token: () => /sntr[yu]s_[\w+/-]{40,}={0,2}/y },
  { kind: "newrelic-key", prefix: "NRAK-", token: () => /NRAK-[A-Z0-9]{27}/y },
  { kind: "planetscale-token", prefix: "pscale_", token: () => /pscale_[a-z]+_[\w.=-]{32,}/y },
  {
    kind: "supabase-key",
    prefix: "sb(?:p|_secret)_",
    token: () => /sb\w{1,7}_[\w-]{20,}/y,
    isToken: hasDigitOrCapital,
  },
  { kind: "doppler-token", prefix: "dp\\.(?:pt|st|ct|sa|scim|audit)\\.", token: () => /dp\.[a-z]+\.[\w.-]{40,}/y },
  { kind: "pulumi-token", prefix: "pul-", token: () => /pul-[0-9a-f]{40}/y },
  { kind: "age-key", prefix: "AGE-SECRET-KEY-", token: () => /AGE-SECRET-KEY-1[0-9A-Z]{50,}/y },
  { kind: "square-token", prefix: "sq0[a-z]{3}-", token: () => /sq0[a-z]{3}-[\w-]{22,}/y },
  { kind: "airtable-token", prefix: "pat[A-Za-z0-9]{14}\\.", token: () => /pat\w{14}\.[0-9a-f]{64}/y },
  { kind: "postman-key", prefix: "PMAK-", token: () => /PMAK-[0-9a-f]{24}-[0-9a-f]{34}/y },
  { kind: "sourcegraph-token", prefix: "sgp_", token: () => /sgp_(?:[0-9a-f]{16}_)?[0-9a-f]{40}/y },
  { kind: "tailscale-key", prefix: "tskey-[a-z]{2,12}-", token: () => /tskey-[a-z]+-[\w-]{16,}/y },
  { kind: "fly-token", prefix: "fm[12]r?_", token: () => /fm[12]r?_[A-Za-z0-9+/]{60,}[\w+/=,]*/y },
  { kind: "netlify-token", prefix: "nfp_", token: () => /nfp_[A-Za-z0-9]{36}/y },
  { kind: "langsmith-key", prefix: "lsv2_", token: () => /lsv2_[a-z]{2}_[0-9a-f]{32}_[0-9a-f]{10}/y },
  { kind: "tavily-key", prefix: "tvly-", token: () => /tvly-[\w-]{24,}/y, isToken: hasDigitOrCapital },
  { kind: "pinecone-key", prefix: "pcsk_", token: () => /pcsk_\w{30,}/y },
  { kind: "resend-key", prefix: "re_[A-Za-z0-9]{8}_", token: () => /re_\w{8}_[A-Za-z0-9]{24}/y, isToken: isRandom },
  { kind: "url-signature", prefix: "[?&;]sig=", token: () => /.sig=[\w%+/-]{20,}={0,2}/y },
  { kind: "url-signature", prefix: "-Signature=", token: () => /-Signature=[0-9a-fA-F]{40,}/y },
  { kind: "jwt", prefix: "eyJ", token: () => /(?<![_-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*){1,3}/y },
  { kind: "jwt", prefix: "eyJ", token: () => /(?<![_-])eyJ[\w-]{8,}\.(?:[\w-]*\.){3}[\w-]{8,}/y },
];

interface FirstPass {
  readonly bySeparator: RegExp;
  readonly byPrefix: RegExp;
  /** By the first character of what they match. */
  readonly byStart: ReadonlyMap<string, readonly Format[]>;
}

let made: FirstPass | undefined;
const tokenPatterns = new Map<Format, RegExp>();

/**
 * The first pass, in two parts. Looking for the separator and then behind it costs a third of looking for each prefix at
 * each place, since few characters are separators.
 */
function firstPass(): FirstPass {
  if (made) return made;
  const ends = ["_", "-", "\\.", "="];
  const behind = ends.map((end) => `${end}(?<=(${patterns((prefix) => prefix.endsWith(end))}))`);
  const byStart = new Map<string, Format[]>();
  for (const format of formats) {
    const starts = /^\[([^\]]+)\]/.exec(format.prefix)?.[1] ?? format.prefix.charAt(0);
    for (const start of starts) byStart.set(start, [...(byStart.get(start) ?? []), format]);
  }
  const byPrefix = new RegExp(
    patterns((prefix) => !ends.some((end) => prefix.endsWith(end))),
    "g",
  );
  made = { bySeparator: new RegExp(behind.join("|"), "g"), byPrefix, byStart };
  return made;
}

/**
 * The longer first: looking backwards, `sb_secret_` would else be taken for `secret_`. The order holds only for prefixes that
 * are more than plain characters: V8 sorts plain alternatives by their first character, in a lookbehind too.
 */
function patterns(isWanted: (prefix: string) => boolean): string {
  const wanted = new Set(formats.map(({ prefix }) => prefix).filter(isWanted));
  return [...wanted].sort((a, b) => b.length - a.length).join("|");
}

function tokenPattern(format: Format): RegExp {
  const known = tokenPatterns.get(format) ?? format.token();
  tokenPatterns.set(format, known);
  return known;
}

/** The 40 characters that belong to an AWS key id, right after it, as in the console's CSV file. */
const awsSecret = /["']?[\s,;:|]{1,4}["']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/y;
/** In Azure the mark stands inside: three characters, a digit, `Q~`, then the rest. */
const azureMark = /(?<![\w~.-])[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}(?![\w~-])/g;

/** Tokens of known issuers, wherever they stand. [RD2] */
export function knownTokens(text: string): Finding[] {
  const { bySeparator, byPrefix } = firstPass();
  const findings = [...tokens(text, bySeparator), ...tokens(text, byPrefix)];
  if (!text.includes("Q~")) return findings;
  for (const { index, 0: value } of text.matchAll(azureMark)) {
    findings.push({ start: index, end: index + value.length, kind: "azure-secret" });
  }
  return findings;
}

function tokens(text: string, first: RegExp): Finding[] {
  const findings: Finding[] = [];
  const refused = new Map<Format, number>();
  first.lastIndex = 0;
  for (let match = first.exec(text); match; match = first.exec(text)) {
    const behind = match.slice(1).find((group) => group !== undefined);
    const start = behind === undefined ? match.index : first.lastIndex - behind.length;
    const found = isBoundary(text, start) ? tokenAt(text, start, refused) : null;
    if (!found) continue;
    findings.push(found);
    first.lastIndex = found.end;
    if (found.kind === "aws-access-key") findings.push(...awsSecretAfter(text, found.end));
  }
  return findings;
}

function awsSecretAfter(text: string, index: number): Finding[] {
  awsSecret.lastIndex = index;
  const secret = awsSecret.exec(text)?.[1];
  if (!secret || !isRandom(secret)) return [];
  return [{ start: awsSecret.lastIndex - secret.length, end: awsSecret.lastIndex, kind: "aws-secret-key" }];
}

/** `refused`: where the last match ended that was no token. A later one of its format inside it is not tried again. */
function tokenAt(text: string, start: number, refused: Map<Format, number>): Finding | null {
  for (const format of firstPass().byStart.get(text.charAt(start)) ?? []) {
    if (start < (refused.get(format) ?? 0)) continue;
    const pattern = tokenPattern(format);
    pattern.lastIndex = start;
    const value = pattern.exec(text)?.[0];
    if (value === undefined) continue;
    if (isAccepted(value, format)) {
      return { start: start + offsetOf(format.kind, value), end: start + value.length, kind: format.kind };
    }
    refused.set(format, start + value.length);
  }
  return null;
}

function isAccepted(value: string, { isToken }: Format): boolean {
  return !/example|x{6}|\*{4}/i.test(value) && (isToken?.(value) ?? true);
}

/** What stands before the secret part and says where it belongs: kept, for it helps the reader. */
function offsetOf(kind: string, value: string): number {
  return kind === "url-signature" ? value.indexOf("=") + 1 : 0;
}

/** A token begins a word. A line end or an escape sequence written out, as in JSON, and a terminal colour are no part of a word. */
function isBoundary(text: string, index: number): boolean {
  if (index === 0 || !/[A-Za-z0-9]/.test(text.charAt(index - 1)) || /[:?&;-]/.test(text.charAt(index))) return true;
  return /\\(?:[nrtbf]|u[0-9a-fA-F]{4})$|%[0-9A-Fa-f]{2}$|\[[0-9;]{0,8}m$/.test(
    text.slice(Math.max(0, index - 10), index),
  );
}

function hasDigitOrCapital(value: string): boolean {
  return /[0-9A-Z]/.test(value.slice(7));
}
