import { matchEnd } from "./findings.ts";

/** A password may be any word, a token must also look like one, a key must look random. */
export type Strength =
  | "password"
  | "secret"
  | "token"
  | "key"
  | "session"
  | "signature"
  | "mnemonic"
  | "authorization"
  | "cookie";

/** Rare parts of telling words: searching for these, in few alternatives, halves V8's time. */
export const rareParts =
  /p(?:ass|wd?|sk|at(?<=[-_]pat)|i(?<=art-api))|c(?:ret(?<=secret)|redential|ookie|ontraseña)|k(?:en(?<=token)|ey)|uth(?<=auth)|b(?:earer|y(?<=identified (?:with \w{1,40} )?by))|mnemonic|s(?:e(?:ss(?=(?:ion)?[-_ .]?id)|ed)|ignature)|пароль|密码|パスワード/gi;
const beforePart: Readonly<Record<string, string>> = {
  cret: "se",
  ken: "to",
  uth: "a",
  by: "identified ",
  pi: "art-a",
  pat: "-",
};

export interface TellingWord {
  readonly start: number;
  readonly end: number;
  readonly word: string;
}

export function tellingWordFrom(text: string, from: number): TellingWord | null {
  rareParts.lastIndex = from;
  const match = rareParts.exec(text);
  if (!match) return null;
  const start = match.index - (beforePart[match[0].toLowerCase()] ?? "").length;
  const end = rareParts.lastIndex;
  return { start, end, word: text.slice(start, end).toLowerCase() };
}

const passStem = /wor[dt]|wd|[-_ .]?(?:phrase|code|word)/iy;
const authStem = /orization/iy;
const seedStem = /[-_ .]?(?:phrase|words?)/iy;
const sessionStem = /(?:ion)?[-_ .]?id/iy;
const restOfName = /[A-Za-z0-9_-]{1,40}/y;
/** Suffixes that do not change what the name means. */
const neutralEnd =
  /^(?:s|[-_]?(?<!\d)\d{1,3}(?!\d)|[-_]?(?:value|string|str|text|plain|raw|data|base|base64|b64|hex|pair|prod|production|dev|development|staging|stage|test|live|default|old|new|prev|previous|current|primary|secondary|main|backup|admin|root|user|db|confirm(?:ation)?|repeat|again|v\d))*$/i;
/** Secret whatever the value is. */
const secretKinds =
  /(?:api|access|priv(?:ate)?|secret|sign(?:ing)?|encrypt(?:ion)?|decrypt(?:ion)?|account|master|auth|service|shared|pre[-_]?shared|admin|app|application|license|storage|webhook|session|hmac|jwt|ssh|deploy|subscription|functions?|host|sas|aes|crypto|cipher|fernet|server|write|ingest|unseal|recovery|consumer|sdk|nonce|logged[-_]in|(?<![a-z])[sp])[-_ .]?$/i;
/** The last word before `key`: `publicKey`, `cache_key`, `STRIPE-KEY`. */
const kindOfKey = /((?<![a-z])[a-z]+|[A-Z][a-z]+|(?<![A-Z])[A-Z]+)\d{0,2}[-_ .]?$/;
/** Issuers whose keys go by their name alone, as `STRIPE_KEY`. */
const issuers = new Set(
  `algolia alchemy amplitude anthropic assemblyai aws azure binance bugsnag clerk cloudflare cohere coinbase datadog deepgram
  deepseek elevenlabs etherscan fastly firebase github gitlab google groq heroku honeycomb huggingface infura langsmith
  mailchimp mailgun mistral mixpanel newrelic ngrok notion openai openrouter openweather paypal pinecone postmark pusher
  rapid replicate resend rollbar segment sendgrid sentry shodan slack square stripe supabase tailscale tavily telegram twilio
  vonage weaviate`.split(/\s+/),
);
/** Keys that find or name something, or are public. */
const harmlessKinds = new Set(
  `public pub publishable site verify verifying verification primary foreign partition sort cache row idempotency dedup dedupe
  deduplication object hot short shortcut map i18n locale translation message registry group order unique index lookup
  composite natural range hash shard routing event query state react child parent item list meta json dict config setting
  settings option feature flag experiment metric job task queue redis etag content file path url node tree field column table
  arrow enter tab escape ctrl shift alt any press lock first last next prev max min blob asset artifact image entity record
  document doc bucket search filter lang language type sub super data store commit build block section page answer unlock
  home end back backspace delete space left right up down key id user name`.split(/\s+/),
);
/** Tokens that are counted or point into a list. */
const harmlessTokens =
  /(?:page|next|continuation|cursor|sync|fencing|design|max|(?<!ad)min|num|total|prompt|completion|input|output|context|cached?|stop|eos|bos|pad|unk|sep|start|end|special|mask|reserved|thinking|reasoning)[-_ .]?$/i;
/** Words that end in `pass`. */
const notPassword =
  /(?:com|encom|by|tres|over|under|sur|im|multi|one|two|first|second|sub|pre|render|low|high|band|all)$/i;

export interface KeyName {
  readonly strength: Strength;
  readonly end: number;
}

export function keyNameAt(text: string, { start, word }: TellingWord): KeyName | null {
  const wordEnd = start + word.length;
  const ending = stems[word];
  const stem = (ending && matchEnd(ending, text, wordEnd)) ?? wordEnd;
  if (wholeWords.has(word) && isLetterAt(text, stem)) return null;
  const rest = text.slice(stem, matchEnd(restOfName, text, stem) ?? stem);
  const isSalt = word === "auth" && rest === "_SALT";
  if (rest !== "" && !neutralEnd.test(rest) && !isSalt && matchEnd(roleOfName, text, stem) === null) return null;
  if (isInMarker(text, start)) return null;
  const before = text.slice(Math.max(0, start - 16), start);
  // A word without an entry is a password in another language.
  const strength = strengths[word] ? strengths[word]({ before, word: text.slice(start, stem) }) : "password";
  return strength && { strength, end: stem + rest.length };
}

function isInMarker(text: string, start: number): boolean {
  return (
    ":1-".includes(text.charAt(start - 1)) && /\[redacted:[a-z0-9-]*$/.test(text.slice(Math.max(0, start - 40), start))
  );
}

const stems: Readonly<Record<string, RegExp>> = { pass: passStem, auth: authStem, seed: seedStem, sess: sessionStem };
/** Not a prefix of another word: `patch`, `seeds`, `session`. */
/** `passwordField.fill("value")`, `PasswordAuthentication("user", "value")` */
const roleOfName =
  /[-_]?(?:field|input|box|entry|element|locator|textbox)(?=[.,])|_(?:hash|verify)(?=\()|Authentication\w{0,10}(?=\()/iy;
const wholeWords = new Set(["pw", "psk", "seed", "sess", "_pat", "-pat"]);

interface NameContext {
  readonly before: string;
  readonly word: string;
}

function isLetterAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at) | 32;
  return code >= 97 && code <= 122;
}

const strengths: Readonly<Record<string, (context: NameContext) => Strength | null>> = {
  key: keyStrength,
  token: ({ before }) => (harmlessTokens.test(before) ? null : "token"),
  auth: (context) =>
    context.word.length > "auth".length
      ? "authorization"
      : settingOfPassword.test(context.before)
        ? "password"
        : isSeparateWord(context) || isCompound(context)
          ? "token"
          : null,
  pass: passStrength,
  pwd: passStrength,
  pw: (context) => (isSeparateWord(context) || settingOfPassword.test(context.before) ? "password" : null),
  psk: (context) => (isSeparateWord(context) ? "password" : null),
  secret: () => "secret",
  credential: () => "secret",
  bearer: () => "token",
  cookie: () => "cookie",
  sess: () => "session",
  signature: () => "signature",
  seed: (context) => (context.word.length > "seed".length ? "mnemonic" : isSeparateWord(context) ? "key" : null),
  mnemonic: () => "mnemonic",
  "art-api": () => "secret",
  "-pat": () => "token",
  _pat: () => "token",
};

/** `requirepass`, `-storepass`, `masterauth`, `bindpw` */
const settingOfPassword = /(?<![A-Za-z])(?:require|store|key|master|(?:olc)?root|bind|ssh)$/i;

function passStrength(context: NameContext): Strength | null {
  // `--- PASS: TestName`, as Go reports a test.
  if (context.word === "PASS" && context.before.endsWith("--- ")) return null;
  if (context.word === "passwd" && /(?<![A-Za-z])(?:ht|ch|smb|vnc)$/.test(context.before)) return null;
  if (settingOfPassword.test(context.before)) return "password";
  if (context.word.length > "pass".length || isSeparateWord(context)) return "password";
  return isCompound(context) && !notPassword.test(context.before) ? "token" : null;
}

function keyStrength(context: NameContext): Strength | null {
  const { before } = context;
  // Most keys by far: `"key"`, `.key`, `key` at the beginning of a line.
  if (!/[\w .?&-]$/.test(before)) return null;
  if (secretKinds.test(before)) return "secret";
  const kind = kindOfKey.exec(before)?.[1]?.toLowerCase() ?? "";
  if (issuers.has(kind)) return "secret";
  return !harmlessKinds.has(kind) && isQualifiedKey(context) ? "key" : null;
}

/** `maps_key`, `mapsKey`; `key` alone is a secret in an address only. */
function isQualifiedKey({ before, word }: NameContext): boolean {
  return /[?&]$|[A-Za-z0-9][-_]$/.test(before) || (/[a-z0-9]$/.test(before) && word.startsWith("K"));
}

/** Not `compass`, `oauth`, but `dbPass`, `db_pass`. `PWD` alone is the shell's folder. */
function isSeparateWord({ before, word }: NameContext): boolean {
  if (word === "PWD") return /[A-Za-z][_-]$|;\s?$/.test(before);
  return !/[A-Za-z0-9]$/.test(before) || (/[a-z0-9]$/.test(before) && /^[A-Z]/.test(word));
}

/** `storepass`, `masterauth`, but not `oauth`. */
function isCompound({ before, word }: NameContext): boolean {
  return /(?:^|[^A-Za-z])[a-z]{2,12}$/.test(before) && word === word.toLowerCase();
}
