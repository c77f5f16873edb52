import { LazyRegExp, pattern } from "./pattern.ts";
import { isPermitting, objectsOf } from "./doubt.ts";
import { contentWords, coverage } from "./sentences.ts";
import { isForbidding } from "./standing-order.ts";

/** Each expression reads at most 400 characters: a sentence. */

const named = String.raw`([^,.;:!?()，。；]{1,80}?)`;
const end = pattern`
  (?=$|[,.;:!?()，。；]|\s+(?:and|but|with|use|using|for|in|on|because|since|as|any ?more|after|at|we|i|und|
  weil|
  lieber|besser|für|et|pour|car|y|para|porque|e|per|по)(?!\p{L}))
`;

const givingUp = [
  pattern`
    (?<!\p{L})(?:instead of|rather than|in place of|no longer|away from|and not|not|anstatt|statt|
    anstelle von|
    nicht mehr|au lieu d['e]|plutôt qu['e]|en lugar de|en vez de|invece di|em vez de|in plaats van|zamiast|
    вместо)\s+(?:using\s+|with\s+)?${named}${end}
  `,
  String.raw`(?<!\p{L})(?:from|von|depuis|desde|da|с)\s+${named}\s+(?:to|over to|auf|zu|nach|vers|à|a|на)(?!\p{L})`,
  String.raw`(?<!\p{L})(?:move|migrate|switch|get|take)\s+(?:the\s+|our\s+)?[\p{L}\p{N}_./-]+\s+(?:off|away from|out of)\s+${named}${end}`,
  String.raw`(?<!\p{L})(?:says? no to|said no to|veto(?:ed|es)?|goodbye|good-?bye|bye|scratch|ruled? out)\s+${named}${end}`,
  pattern`
    (?<!\p{L})(?:replac(?:e|ing|ed)|swap(?:ped)?|exchange|substitute|ersetze?n?|remplace[rz]?|
    reemplaza\p{L}*|
    sostituisci|substitua)\s+${named}\s+(?:with|by|for|durch|par|por|con|com)(?!\p{L})
  `,
  pattern`
    (?<!\p{L})(?:drop(?:ped|ping)?|scrap|forget(?: about)?|ditch|abandon(?:ed)?|undo|undid|
    revert(?:ed)?(?! to)|
    cancel|discard|stop using|do not use|don['’]?t use|verwirf|vergiss|oublie[rz]?|olvida|
    lascia perdere)\s+${named}${end}
  `,
  String.raw`(?:^|[,;:.!]\s*|(?<!\p{L})(?:actually|ok|okay|sorry|well)\s+)(?:no|kein(?:e|en)?|pas de|nada de|niente)\s+(?!longer|more)${named}${end}`,
  pattern`
    (?:^|[,;:]\s*)${named}\s+(?:is|are)\s+(?:out|off the table|gone|dropped|cancelled|canceled|obsolete|
    dead|
    not (?:needed|wanted) any ?more|no longer (?:needed|wanted|used))(?!\p{L})
  `,
  String.raw`([\p{L}\p{N}_-]{1,20})(?:を|は)?やめ|不(?:再)?(?:要|用)\s*([\p{L}\p{N}_-]{1,20}?)(?=[,，。了]|$)`,
].map((source) => new LazyRegExp(source, "giu"));

const marker = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:actually|instead|on second thoughts?|change of plans?|changed (?:my|our) minds?|no longer|
    scratch that|never ?mind|forget (?:it|that|what i)|correction|strike that|undo|undid|revert(?:ed)?|
    roll(?:ed)? back|go(?:ing)? back|back to|any ?more|after all|switch(?:ed|ing)? (?:to|from|over)|
    i was wrong|
    rather than|replace[sd]?|nicht mehr|doch (?:lieber|nicht)|lieber|stattdessen|anders|finalement|plutôt|
    au lieu|
    mejor|en realidad|en vez|en lugar|cambio de plan|invece|anzi|ripensandoci|na verdade|em vez|toch|liever|
    jednak|
    zamiast|лучше|вместо|передумал\p{L}*)(?!\p{L})|改为|改用|换成|不再|やっぱり|やはり|代わりに|변경|대신
  `,
  "iu",
);

const returning = new LazyRegExp(
  String.raw`(?<!\p{L})(?:back to|revert(?:ed)? to|return(?:ed)? to|zurück (?:zu|auf)|reviens? à|revenir à|volver a|tornare a|voltar (?:a|para))\s+${named}${end}`,
  "iu",
);

export function isChangeOfMind(sentence: string): boolean {
  return marker.test(sentence) || abandonedTerms(sentence).length > 0;
}

/** Pure. Returns the words that name what no longer holds; one list for each thing. */
export function abandonedTerms(sentence: string): string[][] {
  return givingUp.flatMap((given) =>
    [...given.matchAll(sentence)].flatMap(([, one, other]) => {
      const words = [...contentWords(one ?? other ?? "")];
      return words.length > 0 && words.length <= 6 ? [words] : [];
    }),
  );
}

export function resumedTerms(sentence: string): Set<string> {
  return contentWords(returning.exec(sentence)?.[1] ?? "");
}

const number = new LazyRegExp(String.raw`^[\d.,]+\p{L}{0,3}$`, "u");

/** Pure. Includes a contradiction, and another number for the same limit. */
export function retracts(later: string, earlier: string): boolean {
  if (isOtherAnswer(later, earlier)) return true;
  const [now, then] = [readMeaning(later), readMeaning(earlier)];
  if (now.dropped.some((words) => coverage(words, then.words) >= 0.6)) return !isSameBan(now, then);
  if (then.dropped.some((words) => coverage(now.again, words) >= 0.6)) return true;
  if (isLifted(now, then) || isOtherwise(now, then)) return true;
  return isOtherNumber(now.words, then.words) || isLikeNamed(now, then);
}

/** "Never touch the vendor folder", later "the vendor folder is free again". */
function isLifted(now: Meaning, then: Meaning): boolean {
  if (!now.isPermitting || then.isPermitting || !then.isRestricting) return false;
  return coverage(objectsOf(then.words), now.words) >= 0.5;
}

/** "Ask before you push", "the folder is off limits": forbids without a negation. */
const restricting = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:before|first|only|off[- ]limits|read[- ]?only|frozen|locked|protected|taboo|tabu|banned|
    out of bounds|hands off|away from|out of|sacred|
    sacrosanct|untouchable|immutable|permission|approval|bevor|vorher|zuerst|finger weg|gesperrt|in ruhe|
    avant|interdit\p{L}*|antes|prohibid\p{L}*|prima|vietat\p{L}*)(?!\p{L})
  `,
  "iu",
);

const answered = /^(.*[?？]) -> (.*)$/su;

/** [CP21] The same question answered in another way. */
function isOtherAnswer(later: string, earlier: string): boolean {
  const [now, then] = [answered.exec(later), answered.exec(earlier)];
  return now !== null && then !== null && now[1] === then[1] && now[2] !== then[2];
}

function isOtherwise(now: Meaning, then: Meaning): boolean {
  const [shorter, longer] = now.words.size <= then.words.size ? [now.words, then.words] : [then.words, now.words];
  const shared = coverage(shorter, longer);
  const isOpposite = now.isForbidding !== then.isForbidding && shared >= (now.isAllowing ? 0.6 : 0.75);
  return isOpposite || (now.isMarked && shared >= 0.5);
}

interface Meaning {
  readonly words: ReadonlySet<string>;
  readonly dropped: readonly ReadonlySet<string>[];
  readonly again: ReadonlySet<string>;
  readonly chosen: string | null;
  readonly isForbidding: boolean;
  readonly isAllowing: boolean;
  readonly isPermitting: boolean;
  readonly isRestricting: boolean;
  readonly isMarked: boolean;
}

/** Cache: each new sentence is compared with all before it. */
const meanings = new Map<string, Meaning>();
const maxMeanings = 1_000;

function readMeaning(sentence: string): Meaning {
  const known = meanings.get(sentence);
  if (known) return known;
  const meaning = {
    words: contentWords(sentence),
    dropped: abandonedTerms(sentence).map((words) => new Set(words)),
    again: resumedTerms(sentence),
    chosen: chosenThing(sentence),
    isForbidding: isForbidding(sentence),
    isAllowing: isAllowing(sentence),
    isPermitting: isPermitting(sentence),
    isRestricting: isForbidding(sentence) || restricting.test(sentence),
    isMarked: marker.test(sentence),
  };
  if (meanings.size >= maxMeanings) meanings.clear();
  meanings.set(sentence, meaning);
  return meaning;
}

/** Accepts names that are nearly one (npm for pnpm). */
function isLikeNamed(later: Meaning, earlier: Meaning): boolean {
  const [now, then] = [later.chosen, earlier.chosen];
  if (now === null || then === null || now === then || later.isForbidding || earlier.isForbidding) return false;
  return later.words.has(then) || isNearlyOne(now, then);
}

function isNearlyOne(one: string, other: string): boolean {
  return one.length >= 3 && other.length >= 3 && (one.includes(other) || other.includes(one));
}

/** Treats "never use X" and "Y instead of X" as agreeing. */
function isSameBan(later: Meaning, earlier: Meaning): boolean {
  return earlier.isForbidding && earlier.dropped.length === 0 && !later.isAllowing;
}

export function isAllowing(sentence: string): boolean {
  return (
    isPermitting(sentence) ||
    /(?<!\p{L})(?:(?:you|we) (?:can|may)|allowed|fine to|ok(?:ay)? to|now|again|darfst|dürfen|peux|puedes|puoi|pode|можно)(?!\p{L})|可以/iu.test(
      sentence,
    )
  );
}

function numbers(words: ReadonlySet<string>): string[] {
  return [...words].filter((one) => number.test(one));
}

function others(words: ReadonlySet<string>): Set<string> {
  return new Set([...words].filter((one) => !number.test(one)));
}

function isOtherNumber(now: ReadonlySet<string>, then: ReadonlySet<string>): boolean {
  const [first, second] = [numbers(now), numbers(then)];
  if (first.length === 0 || second.length === 0 || first.every((one) => second.includes(one))) return false;
  const [a, b] = [others(now), others(then)];
  return a.size > 0 && coverage(a, b) >= 0.75 && coverage(b, a) >= 0.75;
}

const choice = new LazyRegExp(
  String.raw`(?<!\p{L})(?:use|using|go with|take|pick|choose|stick (?:to|with)|prefer|nimm|verwende|benutze|utilise[rsz]?|prends|usa|utiliza|elige|gebruik|używaj|используй)\s+`,
  "iu",
);

export function isOtherChoice(later: string, earlier: string): boolean {
  const [now, then] = [readMeaning(later).chosen, readMeaning(earlier).chosen];
  return now !== null && then !== null && now !== then;
}

export function chosenThing(sentence: string): string | null {
  const match = choice.exec(sentence);
  const [named = ""] = match ? sentence.slice(match.index + match[0].length).split(/[,.;:!?()]/) : [];
  const plain = named.replace(/(?<!\p{L})(?:from (?:now|here) on|now|ab jetzt|désormais|ahora)(?!\p{L})/iu, "");
  const words = [...contentWords(plain)];
  const isForSomething = /(?<!\p{L})(?:for|in|on|as|für|pour|para|per|to)(?!\p{L})/iu.test(plain);
  return words.length === 1 && !isForSomething ? (words[0] ?? null) : null;
}
