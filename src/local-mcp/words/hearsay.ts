import { LazyRegExp, pattern } from "./pattern.ts";

/** Pure: sentences of others, and instructions for this moment alone. */

const reported = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:the|a|an|our|my|this|that|one|his|her|their|some)? ?(?:\p{L}+ )?(?:customers?|users?|
    clients?|visitors?|docs?|documentation|spec(?:ification)?|readme|manual|e-?mail|mail|letter|
    tickets?|issue|linter|compiler|type ?checker|log|logs|message|error|warning|tool|tools|comments?|
    article|tutorial|blog|post|book|forum|website|page|output|console|terminal|
    test|bot|reviewer bot|somebody|someone|he|she|they|it) (?:only |just |also |now |then |
    always )?(?:says?|said|wrote|writes?|tells?|told|reads?|states?|stated|claims?|claimed|complains?|
    complained|mentions?|mentioned|
    asks?(?! for)|asked(?! for)|insists that|prints?|printed|shouts|yells|reports?|replied|answered|
    responded|quotes?|shows)|according to|quote:|i quote|(?:der|die|ein|eine) (?:kunde|kundin|nutzer|doku|
    dokumentation|spezifikation|mail|meldung) (?:schreibt|
    schrieb|sagt|sagte|meint)|laut (?:der |dem |den )?\p{L}+|(?:le|la) (?:client|cliente|doc|
    documentation) (?:dit|a dit|a écrit|écrit)|d['’]après|
    (?:el|la) (?:cliente|documentación) (?:dice|dijo|escribió)|según)(?!\p{L})|
    (?<!\p{L})(?:says|said|wrote|reads|told \p{L}+|asked|replied|schrieb|sagte|meinte|a écrit|a dit|
    escribió|dijo|ha scritto|ha detto|escreveu|disse|schreef|zei|написал\p{L}*|
    сказал\p{L}*)(?: to \p{L}+| me| us)?\s?[:,]\s?["“”„«'‘]|
    (?<!\p{L})should(?: never| not|n['’]t)? have \p{L}+|^["“„«‘].*["”“»’][.!]?$
  `,
  "iu",
);

/** [CP57] Reported speech is no word of the user. */
export function isReported(sentence: string): boolean {
  return reported.test(sentence);
}

const momentary = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:yet|for now|for the moment|for the time being|at the moment|right now|just now|this time|
    not now|just a (?:moment|minute|second)|in the meantime|meanwhile|noch nicht|
    noch kein\p{L}*|vorerst|erst ?mal|fürs erste|im moment|momentan|pour l['’]instant|pour le moment|
    pas encore|por ahora|de momento|todavía|aún no|per ora|
    per il momento|non ancora|por enquanto|ainda não|voorlopig|nog niet|nog geen|na razie|jeszcze nie|
    пока(?: что)?|ещё не|еще не|inte än|ikke ennå)(?!\p{L})|
    ^(?:please |ok |and |but )*(?:hold off|hold on|wait(?! for (?:my|our))|pause|warte|attends|espera|
    aspetta|wacht|poczekaj|подожди)(?!\p{L})|
    まだ|先别|先不要|暂时|아직
  `,
  "iu",
);

/** [CP58] Holds until the user says otherwise in the same work, and is kept as a request. */
export function isMomentary(sentence: string): boolean {
  return momentary.test(sentence);
}
