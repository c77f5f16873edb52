/** Pure: whether a text stands in another, whatever marks, line breaks or quotation stand between its words. */

const gramChars = { letters: 12, signs: 5 };
const signs = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
/** For texts that are long in a brief. */
const firstChars = 200;
const prohibition =
  /\b(?:do not|don['’]t|never|only if|must not|without|except|instead of|avoid)\b|ない(?:で|こと)|するな|禁止|不要|않|마세요|말고|금지/i;
const minSentenceChars = 15;
/** Of a text that counts as present. */
export const presentShare = 0.7;

/** Letters and digits alone, in lower case. */
export function normalized(text: string): string {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "");
}

/** Share of the character sequences of `wanted` that stand in `held`; both normalized. */
export function shareIn(wanted: string, held: string): number {
  const size = gramLength(wanted);
  if (wanted.length <= size) return held.includes(wanted) ? 1 : 0;
  let found = 0;
  const count = wanted.length - size + 1;
  for (let at = 0; at < count; at++) if (held.includes(wanted.slice(at, at + size))) found += 1;
  return found / count;
}

export function gramLength(text: string): number {
  return signs.test(text) ? gramChars.signs : gramChars.letters;
}

/** Of a long request the beginning and its key sentence count, half each. @param brief normalized */
export function requestShare(request: string, brief: string): number {
  if (normalized(request).length <= firstChars) return shareIn(normalized(request), brief);
  const first = shareIn(normalized(request.slice(0, firstChars)), brief);
  return (first + shareIn(normalized(keySentence(request)), brief)) / 2;
}

/** The last sentence that forbids something, else the last one. */
function keySentence(text: string): string {
  return prohibitionsOf(text).at(-1) ?? sentencesOf(text).at(-1) ?? text;
}

/** Sentences that forbid something. */
function prohibitionsOf(text: string): string[] {
  return sentencesOf(text).filter((one) => prohibition.test(one));
}

function sentencesOf(text: string): string[] {
  return text.split(/(?<=[.!?])\s+|(?<=[。！？])|\n+/).filter((one) => normalized(one).length >= minSentenceChars);
}
