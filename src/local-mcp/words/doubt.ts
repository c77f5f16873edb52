import { LazyRegExp, pattern } from "./pattern.ts";
import { contentWords } from "./sentences.ts";

/** Pure: sentences that may take back a decision without saying so. */

const doubting = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:remov(?:e|ed|ing)|rip(?:ped|ping)?|kick(?:ed|ing)?|tear|tore|get(?:ting)? rid|got rid|
    throw|threw|take .{1,30} out|took .{1,30} out|pull(?:ed)? .{1,30} out|drop(?:s|ped|ping)?|skip(?:ped)?|
    ditch(?:ed)?|scrap(?:ped)?|abandon(?:ed)?|retire[ds]?|deprecat\p{L}+|delet(?:e|ed|ing)|replac(?:e|ed|
    ing)|swap(?:ped)?|exchang\p{L}+|chang(?:e|ed|ing)|mov(?:e|ed|ing)|
    switch(?:ed|ing)?|migrat(?:e|ed|ing)|convert(?:ed)?|revert(?:ed)?|undo|undid|roll(?:ed|ing)? back|
    back to|return(?:ed)? to|without|instead|rather|better|
    actually|after all|on (?:second thoughts?|reflection)|turn(?:s|ed) out|chang(?:ed|e) (?:my|our) mind|
    no longer|not any ?more|any ?more|not (?:really )?(?:need|want|like)|n['’]t (?:really )?(?:need|want|
    like|
    work|handle|fit|scale|cut it|support)|(?:could|can|did|does|do|would|will)(?: not|n['’]t|not) \p{L}+|
    cannot|fails? to|failed|too \p{L}+|overkill|mistake|wrong|pain|trouble|problems? with|regret|
    (?:can|may|should|must|has to|have to) go(?:ne)?(?=[\\s.,!]|$)|(?:is|are|was|were) (?:out|off|gone|dead|
    history|obsolete|taken|used|over|void|lifted|dropped|cancell?ed)|already (?:taken|used|in use)|enough|
    suffic\p{L}+|will do|would do|good enough|veto(?:ed|es)?|suits?|prefers?|preferred|favou?rs?|wants?|
    demands?|insists?|requires?|supports? only|only supports?|raise|lower|increase|decrease|reduce|extend|
    shorten|double|halve|bump|make (?:it|that|the)|set (?:it|that|the)|let['’]?s (?:call|take|use|go|try|
    do)|it is|says|costs? (?:us )?(?:more|too)|expensive|heavy|slow|goes? into|
    raus|weg|entfern\p{L}*|streich\p{L}*|lösch\p{L}*|ersetz\p{L}*|tausch\p{L}*|doch|lieber|besser|
    statt(?:dessen)?|nicht mehr|brauchen wir nicht|zu (?:schwach|langsam|teuer|schwer|groß|klein|komplex)|
    will|möchte|reicht|genügt|
    enl[eè]v\p{L}*|retir\p{L}*|supprim\p{L}*|remplac\p{L}*|plutôt|finalement|trop|suffit|préfère|veut|
    quita\p{L}*|elimina\p{L}*|saca\p{L}*|cambia\p{L}*|mejor|demasiado|basta|
    prefiere|quiere|togli\p{L}*|rimuov\p{L}*|levare|sostitu\p{L}*|meglio|troppo|preferisce|vuole|tira\p{L}*|
    remov[ae]\p{L}*|troca\p{L}*|melhor|demais|quer|haal|verwijder\p{L}*|liever|beter|te (?:traag|zwaar|
    duur)|wil|
    usuń|wyrzuć|zamień|lepiej|zbyt|jednak|wystarczy|убери|удали|замени|лучше|слишком|хватит|хочет)(?!\p{L})|
    外し|削除|やめ|代わり|やっぱ|にして|变更|去掉|删掉|删除|换成|改成|改用|不用|不要|算了|빼|제거|대신|바꿔
  `,
  "iu",
);

export function isDoubting(sentence: string): boolean {
  return doubting.test(sentence);
}

const permitting = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:you|we)(?:['’]re| are)? (?:can|may|could|free to|allowed to|welcome to|permitted to|
    cleared to)(?! (?:not|only|never|see)|not|['’]t)|(?:is|are|be)(?: now| again| also| all)* (?:ok(?:ay)?|
    fine|allowed|permitted|acceptable|
    fair game|free|unlocked|unfrozen|open|yours|up for|back on the table|possible)|(?:it['’]s|it is|
    that['’]s)(?: now| also)* (?:ok(?:ay)?|fine|alright|allowed|acceptable) (?:to|if)|feel free|(?:can|
    may) (?:now |again )?be (?:\p{L}+ed|changed|touched|written|
    rewritten)|no longer (?:frozen|forbidden|off|protected|locked|read|banned|needed|necessary|required|
    applies|holds)|(?:ban|freeze|rule|restriction|lock|embargo|limit|block|moratorium) .{0,40}(?:lifted|off|
    over|gone|history|void|dropped|removed|cancell?ed|no longer)|
    lift(?:ed|ing)? the|(?:have|got|with|has) (?:my |our )?(?:permission|blessing|ok|okay|approval|go-ahead|
    green light)|no need to|(?:don['’]t|do not|needn['’]t|need not) (?:have|need|bother) to|
    need(?:n['’]t| not) \p{L}+|without (?:asking|my|a)|
    whenever (?:you|it)|as you (?:like|please|wish)|go ahead and|(?:darfst|dürfen|kannst|
    könnt)(?= .*(?:jetzt|wieder|nun|ab|ruhig|auch|doch))|darfst|wieder (?:frei|erlaubt)|freigegeben|erlaubt|
    aufgehoben|ist (?:jetzt )?(?:in ordnung|okay|ok)|musst nicht mehr|
    tu peux|vous pouvez|autorisée?s?|permise?s?|ya puedes|puedes|permitid[oa]s?|se puede|ya no hace falta|
    puoi|permess[oaie]|pode|liberad[oa]s?|permitid[oa]s?|mag(?: je)?(?: nu)?|toegestaan|możesz|wolno|
    dozwolon\p{L}*|можно|
    можешь|разреш\p{L}*)(?!\p{L})|可以|允许|てもいい|ても良い|해도 ?(?:돼|됩니다|좋)
  `,
  "iu",
);

/** [CP21] Permits something. */
export function isPermitting(sentence: string): boolean {
  return permitting.test(sentence) && !/[?？]\s*$/.test(sentence);
}

/** Verbs of an order say what is forbidden to do, not to which thing. */
const actionNames = `touch touches edit edits change changes modify alter write rewrite commit commits push merge delete remove move rename add use
  adjust update fix ask check allow permission fine free feel rule ban freeze lifted migrate run deploy install
  anfassen fass ändern ändere ändert verändern toucher touche modifier modifie tocar toques cambiar modificar toccare`;

let actions: ReadonlySet<string> | null = null;

/** [CP21] The things that a rule is about; all of its words where it names only actions. */
export function objectsOf(words: ReadonlySet<string>): ReadonlySet<string> {
  const verbs = (actions ??= contentWords(actionNames));
  const objects = new Set([...words].filter((one) => !verbs.has(one)));
  return objects.size > 0 ? objects : words;
}

const corrective = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:rather|better|instead|actually|make (?:it|that)|lieber|besser|doch|stattdessen|plutôt|
    mieux|mejor|meglio|piuttosto|melhor|liever|beter|raczej|lepiej|лучше)(?!\p{L})|やっぱり|还是
  `,
  "iu",
);

/** [CP43] "Rather 200": another value, and not a word of what it is for. */
export function isBareCorrection(sentence: string): boolean {
  return corrective.test(sentence) && sentence.split(/\s+/).length <= 5 && [...contentWords(sentence)].length <= 2;
}
