/** How much a name promises: a password may be any word, a token must also look like one. */
export type Strength = "password" | "secret" | "token" | "authorization" | "cookie";

/** The first pass over a text: each of these begins or ends a telling name. */
export const tellingWord = /pass|pwd|secret|token|key|auth|credential|bearer|cookie|identified by| -u | --user[ =]/gi;

const passStem = /wor[dt]|wd|phrase|code/iy;
const authStem = /orization/iy;
const restOfName = /[A-Za-z0-9_-]{0,40}/y;
/** What may follow in the name without changing what it names. */
const neutralEnd =
  /^(?:s|[-_]?\d{1,3}|[-_]?(?:value|string|str|text|plain|raw|base|base64|b64|hex|pair|prod|production|dev|development|staging|stage|test|live|default|old|new|prev|previous|current|primary|secondary|main|backup|admin|root|user|db|v\d))*$/i;
const keyKinds =
  /(?:api|access|private|secret|sign(?:ing)?|encrypt(?:ion)?|decrypt(?:ion)?|account|master|auth|service|shared|admin|app|application|license|storage|webhook|session|hmac|jwt|ssh|deploy|subscription|functions?|host|sas|aes|crypto|cipher|server|write|ingest|consumer)[-_ .]?$/i;
/** Tokens that are counted or point into a list. */
const harmlessTokens =
  /(?:page|next|continuation|cursor|sync|fencing|design|max|min|num|total|prompt|completion|input|output|context|cached?|stop|eos|bos|pad|unk|sep|start|end|special|mask|reserved|thinking|reasoning)[-_ .]?$/i;

export interface KeyName {
  readonly strength: Strength;
  /** Where the name ends. */
  readonly end: number;
}

/** Reads the name that holds the telling word found at `start`; null when the name tells of something else. */
export function keyNameAt(text: string, start: number, found: string): KeyName | null {
  const word = found.toLowerCase();
  const stem = stemEnd(text, start, word);
  restOfName.lastIndex = stem;
  const rest = restOfName.exec(text)?.[0] ?? "";
  if (!neutralEnd.test(rest)) return null;
  const before = text.slice(Math.max(0, start - 16), start);
  // Inside a marker of an earlier run.
  if (/\[redacted:[a-z-]*$/.test(text.slice(Math.max(0, start - 40), start))) return null;
  const strength = strengths[word]?.({ before, word: text.slice(start, stem) }) ?? null;
  return strength && { strength, end: stem + rest.length };
}

function stemEnd(text: string, start: number, word: string): number {
  const end = start + word.length;
  const stem = word === "pass" ? passStem : word === "auth" ? authStem : null;
  if (!stem) return end;
  stem.lastIndex = end;
  return stem.test(text) ? stem.lastIndex : end;
}

interface Surroundings {
  /** What stands before the word. */
  readonly before: string;
  /** The word as written, with its stem. */
  readonly word: string;
}

const strengths: Readonly<Record<string, (around: Surroundings) => Strength | null>> = {
  key: ({ before }) => (keyKinds.test(before) ? "secret" : null),
  token: ({ before }) => (harmlessTokens.test(before) ? null : "token"),
  auth: (around) => (around.word.length > "auth".length ? "authorization" : isOwnWord(around) ? "token" : null),
  pass: (around) => (around.word.length > "pass".length || isOwnWord(around) ? "password" : null),
  pwd: (around) => (isOwnWord(around) ? "password" : null),
  secret: () => "secret",
  credential: () => "secret",
  bearer: () => "token",
  cookie: () => "cookie",
  "identified by": () => "password",
};

/** Not the end of another word: `compass`, `oauth`; `dbPass` and `db_pass` are two words. `PWD` alone is the shell's folder. */
function isOwnWord({ before, word }: Surroundings): boolean {
  if (word === "PWD") return /[A-Za-z][_-]$/.test(before);
  return !/[A-Za-z0-9]$/.test(before) || (/[a-z0-9]$/.test(before) && /^[A-Z]/.test(word));
}
