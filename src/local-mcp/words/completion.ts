import { done } from "./finished.ts";
import { LazyRegExp, pattern } from "./pattern.ts";
import { isAhead } from "./next-step.ts";
import { contentWords, coverage, isAboutTheSame, sentences } from "./sentences.ts";

/** Pure. */

const achievement = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:verified|confirmed|behaves (?:as|like|the way)|ready|landed|through|shipped|delivered|
    wired|connected|integrated|handled|solved|resolved|closed|
    closes|live|all set|got .{1,60} working|wrapped up|passes|in place|takes? care of|taken care of|put|
    set up|
    built|runs?|works?|check|supports?|accepts?|possible now|durch|steht|läuft|listo|lista|pronto|
    zrobion\p{L}*|
    działa|skończ\p{L}*)(?!\p{L})|終わ|終え|動き|できる|✓|✅|☑
  `,
  "iu",
);
/** "I moved the tests", "the tests are moved": any verb, in the past. */
const past = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:i|we|is|are|was|were|been|have|has|['’]ve)(?: (?:now|all|also|fully|completely|finally|
    already|just|been))* (?!reproduced|investigated|looked|
    analy[sz]ed|noticed|started|tried|planned|failed|stopped|needed|wanted|asked|reviewed|considered|
    discovered|wondered|
    blocked|expected|supposed|allowed|required|based|called|used|tired|delayed|postponed|skipped|ignored|
    related|
    affected)(?:\p{L}{2,}ed|built|written|rewritten|split|made|gone|rebuilt|sent|cut)(?!\p{L})|
    (?<!\p{L})(?:pass(?= |[.,:!]|$)|no longer \p{L}+|gone|vanished|disappeared|available|
    can (?:now )?\p{L}+ .{1,40} now|(?:has|have) .{1,40} now[.!]?$|
    (?:is|are) (?:on|in|at|under) \S+(?: now)?[.!]?$)(?!\p{L})
  `,
  "iu",
);
/** A thing that is done in part is not done. */
const partial = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:half|halfway|partly|partially|in parts?|almost|nearly|mostly|most of|some of|
    (?:a )?part of|a few of|one of|two of|not(?! only)|isn['’]t|aren['’]t|
    doesn['’]t|don['’]t|didn['’]t|hasn['’]t|haven['’]t|won['’]t|except|apart from|other than|aside from|
    besides|but|still|only|started|begun|began|beginning|so far|
    first|(?:page|part|step|chapter|item|phase|batch|file) (?:\d+|one|two)|to go|left|remain(?:s|ing)?|
    missing|lacks?|failing|reproduced?|draft|stub\p{L}*|skeleton|
    (?!100)\d{1,2} ?(?:%|percent|prozent)|yet|until|once|after that|as soon as|will|should|would|could|
    might|must|if|needs?|unless|
    zur hälfte|halb|fast|beinahe|teilweise|noch|nicht|à moitié|presque|en partie|pas encore|casi|a medias|
    mitad|parcialmente|todavía|aún|quasi|a metà|metà|in parte|
    ancora|metade|quase|ainda|bijna|deels|grotendeels|nog|prawie|częściowo|jeszcze|почти|наполовину|
    частично|ещё|еще)(?!\p{L})|半分|一半|ほぼ|几乎|部分|まだ|还没|절반|거의
  `,
  "iu",
);
const counted = /(?<!\d)(\d+) ?(?:of|out of|\/|von|de|из) ?(\d+)/giu;
const nothingMissing =
  /(?<!\p{L})(?:nothing|no \p{L}+|nichts|rien|nada|niente)(?: \p{L}+){0,3} (?:missing|left|open|remains?|fehlt|offen)(?!\p{L})/giu;

/** Says that something works or is done, not that it does not or will. */
export function isSuccess(clause: string): boolean {
  return isCompletion(clause) && !isAhead(clause) && !/(?<!\p{L})(?:not|never)(?!\p{L})|n['’]t/iu.test(clause);
}

export function isReportedDone(step: string, message: string): boolean {
  return findCompletion(step, message) !== null;
}

/** [CP60] A sentence that says of any part of it that it is not done completes nothing. */
export function findCompletion(step: string, message: string, minShare?: number): string | null {
  const found = sentences(message).find(
    (one) => isCompletion(one) && !isAhead(one) && !isPartial(one, step) && isAboutTheSame(step, one, minShare),
  );
  return found ?? null;
}

function isCompletion(sentence: string): boolean {
  return !/[?？]$/.test(sentence) && [done, achievement, past].some((one) => one.test(sentence));
}

/** A word of the step itself says nothing of how far it is. */
export function isPartial(sentence: string, step = ""): boolean {
  const counts = [...sentence.matchAll(counted)];
  if (counts.some(([, done, all]) => done !== all)) return true;
  const [found] = partial.exec(sentence.replaceAll(nothingMissing, " ")) ?? [];
  return found !== undefined && !step.toLowerCase().includes(found.toLowerCase());
}

const running = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:run|rerun|re-run|execute|start|test|build|commit|push|deploy|install|migrate|lint|format|
    ausführen|
    starte|lance[rz]?|exécute[rz]?|ejecuta\p{L}*|esegui|execut\p{L}*|запусти\p{L}*)(?!\p{L})
  `,
  "iu",
);

/** The step says to run something, and names most of the command. */
export function isDoneBy(step: string, command: string): boolean {
  if (!running.test(step) || contentWords(step).size > 8) return false;
  const words = new Set(
    [...contentWords(command)].flatMap((one) => one.split(/[/.:-]+/)).filter((one) => one.length > 1),
  );
  const named = new Set([...contentWords(step)].flatMap((one) => one.split(/[/.:-]+/)));
  return coverage(words, named) >= 0.5;
}
