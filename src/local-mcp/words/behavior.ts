import { LazyRegExp, pattern } from "./pattern.ts";

/** Pure: the behavior of a product from now on, which is no work of the chat. */

const behavior = new LazyRegExp(
  pattern`
    ^(?:(?:please )?note|keep in mind|be aware|beware|remember|caution|mind|important|fyi|bitte beachten|
    beachte|à noter|attention|ten en cuenta|nota|attenzione)(?!\p{L})|
    (?<!\p{L})(?:users?|customers?|admins?|visitors?|clients?|people|everyone|everybody|readers?|callers?|
    editors?|members?|(?:both|all|each|every|old|new|existing|other|the) (?:\p{L}+ )?\p{L}+|it|this|that|
    they|you)
    (?:['’]ll| (?:will|must|should|can|may|shall|has to|have to|need to|needs to|now|then))(?: (?:also|then|
    now|only|always|not))* (?!(?:be|to be) \p{L}+(?:ed|en|t|ne|lt)(?!\p{L})(?! (?:by|after|when|on|every|
    each|before|at) )|follow(?! the)|come(?! back)|need|next|be next|is|are|
    remains?|wait|have to wait)\p{L}+|
    open (?:to|for|until|on|all|only|source)|due (?:a|an|to)(?!\p{L})|(?:until|before|when|while|after|with|
    and|on|at|for) the next(?! (?:step|thing|task|i|we))|
    the (?:remaining|other|next) \p{L}+ (?:keeps?|stays?|uses?|are (?:answered|kept|served|loaded|used|
    ignored|skipped)|is (?:loaded|shown|used|served|blue|red|green|now))|
    ^(?:when|if|once|as soon as|whenever|while|after) (?!i |we |you |that|this|it['’]?s|the (?:tests?|build|
    review)).{1,80}, (?:the|it|they|users?|a|an) \p{L}+|
    ^(?:it|they|this|the .{1,30}) (?:has|have) not (?!yet|been (?:done|written|started|tested|touched|
    updated|ported))\p{L}+|
    (?:must|has to|have to|should|needs? to|to) be \p{L}+ed (?:after|on|by|at|for|before|with) (?:every|
    each|any|cron|the user|users|customers|default)|
    ^now (?:the|it|they|users?|you|all) (?:\p{L}+ )?\p{L}+s? (?:when|on|in|at|after|with|only|for|out)|
    (?:will|is going to) be (?:faster|slower|smaller|visible|available|shown|loaded|sent|better|ready)|
    waiting for the same|for all (?:users|customers)|after that,? the .{1,30} is \p{L}+ed by|
    ^danach (?:wird|werden|ist|sind) |(?:die|der|das) \p{L}+ (?:ist|sind|wird|werden|lädt|zeigt) jetzt|
    (?:die|der) (?:nutzer|benutzer|kunden) (?:müssen|muss|können|sehen)|
    les utilisateurs|(?:la|el|los|las) \p{L}+ ahora \p{L}+|los usuarios|gli utenti|os usuários|
    de gebruikers|użytkownicy|пользователи
  `,
  "iu",
);
/** First person, or a noun or participle of open work. */
const ownWork = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:i|we|i['’](?:ll|m|d|ve)|we['’](?:ll|re|d|ve)|let me|let['’]?s|my|ich|wir|je|nous|j['’]|
    noch zu|still (?:to|needs?|missing|open|has|have|must|lacks?)|yet to|next steps?|next up|up next|
    next(?=[:,]| is| are| comes)|
    to-?dos?|missing|pending|outstanding|left to|remains? to|is left|are left|open (?:item|point|task|issue|
    question|part)s?|remaining (?:work|steps?|tasks?|items?|is|are)|remaining:|open:|pending:)(?!\p{L})
  `,
  "iu",
);

/** [CP61] */
export function isBehavior(sentence: string): boolean {
  return behavior.test(sentence) && !ownWork.test(sentence);
}
