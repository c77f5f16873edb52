import { LazyRegExp, pattern } from "./pattern.ts";
import { clauses } from "./sentences.ts";
import { asksForWork } from "./work-request.ts";

/**
 * Pure: the many ways to say how all of the work is to be done, each by its shape.
 * Each expression reads at most 400 characters: a sentence.
 */

/** "X is off limits", "X has no place in Y", "X is a must": states that only a rule gives. */
const status = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:is|are) a (?:hard |clear |definite |strict )?no(?=[ .,!]|$)|
    (?:is|are|stays?|remains?|['’]s|['’]re)(?: (?:absolutely|strictly|completely|totally|simply|always|also|
    all|
    considered|a|an|our|the))* (?:sacrosanct|immutable|untouchable|inviolable|off[- ]limits|no[- ]go(?:es)?|
    no[- ]nos?|
    dealbreakers?|deal[- ]breakers?|non[- ]negotiable|hard (?:requirement|limit|rule|constraint|no)|
    absolute musts?|must|must-have|top priority|(?:first|number one|highest|top|main) priority|red lines?|
    pet peeves?(?: of mine)?|
    not (?:welcome|wanted|desired|acceptable|tolerated|an option|allowed|permitted|on the table|negotiable|
    up for debate|
    up for discussion|yours|your (?:job|call|business))|unwelcome|unwanted|undesired|unacceptable|my (?:job|
    call|business|
    responsibility|thing)|protected|capped at \S+|limited to \S+|restricted to \S+|crucial|essential|vital|
    paramount|
    imperative|key here|what matters most)(?!\p{L})(?! (?:for now|yet|in the))|
    (?:has|have) (?:no (?:place|business)|(?:the )?(?:top |highest )?(?:priority|precedence)|to (?:stay|
    remain|keep|work|run|ask|
    go through|pass|fit|comply|be (?:compatible|supported|reviewed|approved|signed|tested|reversible)))|
    (?:have|has)(?:n['’]t| not| no| got no)? (?:permission|authori[sz]ation|clearance) to|
    (?:belongs?|goes|go|live|lives|stays?) (?:only |exclusively )?(?:into|in|to|under|at|
    on) .{1,40}(?:, (?:nowhere|not|never)|and nowhere| only)|
    (?:no one|nobody|none) but \S+|(?:never|nowhere|nothing|none) else|zero[- ]tolerance|god forbid|
    (?:ban|freeze|embargo|moratorium) on|gets? (?:rejected|refused|blocked|reverted|thrown out)(?! when)|
    (?:nobody|no ?one|nothing) (?:edits|touches|changes|pushes|merges|commits|deploys|writes|leaves|
    goes|gets|bypasses|skips|imports|adds|removes|deletes) .{1,40}(?:by hand|without|but|except|directly|
    unless|in|to)|
    use .{1,40} for (?:anything|everything|all new|every|each|any|new)|cap \p{L}+ (?:at|to)|(?:repo|
    repository|project|codebase|branch|library|service) is (?:strictly |purely )?.{2,30} only|
    not a single (?:\S+ ){1,4}(?:gets|is|may|goes|should)|
    (?:please |pretty please )?(?:refrain|abstain|stay clear|keep clear|keep your (?:hands|fingers)|hands|
    fingers|paws) (?:from|of|off|away)|
    (?:is|are) (?:not|n['’]t) to (?:be )?\p{L}+|(?:you|we)['’]re not to \p{L}+|don['’]t you dare|
    (?:compatibility|coverage|
    support|accessibility|safety|security|privacy) (?:is|are) (?:a )?(?:must|required|key|needed))(?!\p{L})
  `,
  "iu",
);

/** "Safety over speed", "tests before code", "accessibility comes first". */
const precedence = new LazyRegExp(
  pattern`
    ^(?:(?:and|also|but|please|remember|note|rule|always)[\s,:]+)*(?!the |this |that |he |she |it |who |
    they |use |take |pick |choose |go |let |make |name |call |we |i )(?:[\p{L}-]+ ){1,3}(?:comes? first|
    goes first|above all(?: else)?|first and foremost|
    beats? \p{L}+|trumps? \p{L}+|(?:over|before|above|rather than|instead of|,? not) (?!the |it |that |
    this |my |we |you |i |they |lunch|noon)
    (?:\p{L}+|\p{L}+ \p{L}+)(?:,? (?:please|always|everywhere))?)[.!]*$|
    ^(?:please |and |also )*(?!fix|add|do|make|check|look|finish|change|remove)\p{L}+ (?:the )?(?:tests?|
    specs?|docs|documentation|plans?|types?) first(?:,? (?:always|please))?[.!]*$|
    (?<!\p{L})(?:test|design|plan|type|mobile|docs|security|privacy|api|offline)[- ]first(?= |[.,!]|
    $)(?! (?:page|test|call|one|step))
  `,
  "iu",
);

/** "We're a pnpm shop", "we support Windows too", "our convention is": how a team does it. */
const teamHabit = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:we|i)(?:['’]re| are|['’]m| am)(?: strictly| purely| all)? (?:an? (?:\S+ ){1,3}(?:shop|
    house|team|company|
    project|purist|fan|person)|bound to|stuck (?:on|with)|committed to|limited to|tied to|locked (?:in)?to|
    not a fan of|no fan of|not fond of|big on|
    allergic to|strict (?:about|on)|picky about|particular about|religious about)(?! (?:four|five|two|three|
    small|big|good|great|new))|
    this is an? (?:\S+ ){1,3}(?:shop|house|project|repo|codebase)|
    (?:we|this (?:project|repo|codebase))(?: also| still| only| must)* (?:supports?|targets?|
    deploys? (?:only|to|from)|names?|prefix|indent|follow|squash|never|always)
    (?! (?:says?|ticket|asked|the same))|
    (?:our|the|my|house|team|project|company)(?: (?:code|coding|naming|team|house|project|branch|commit|
    git))* (?:conventions?|style ?guide|style|rules?|
    policy|policies|standards?|preference|guidelines?) (?:is|are|says?|demands?|requires?|forbids?|
    calls? for|wants?|:)|
    (?:is|are) (?:always )?(?:snake|camel|kebab|pascal|upper|lower|title)[-_ ]?cased?|target(?: is|
    :| =) (?:\p{Lu}|ES|the browsers?)|
    (?:i|we)(?: really| just| simply| absolutely| personally)* (?:hate|can['’]t stand|cannot stand|despise|
    loathe|detest|dislike|
    insist (?:on|that)|expect (?!it |that it|him|her|them|the (?:bug|error))|am allergic to|
    don['’]t (?:like|do|tolerate|believe in)|
    (?:strongly )?object to|frown (?:up)?on|value)(?! (?:this|that|it|when|how|mondays?|the (?:bug|error|
    fact|way)|to (?:say|admit|bother)|him|her|them|you)(?!\p{L}))|
    (?:customers|clients|users|people|readers|reviewers|legal|compliance|ops)(?: really)? (?:hate|
    can['’]t stand|dislike|
    insist on)|(?:works?|runs?|stays?|remains?|be)(?: \S+)? (?:offline|air-?gapped)(?! (?:again|today|now|
    since))|
    everything (?:has to|must|needs to|should|runs?|stays?|goes|behind)(?! (?:in|on) the))(?!\p{L})
  `,
  "iu",
);

/** "Treat the folder as off limits." */
const treatment = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:treat|consider|regard|see|view|count|think of) .{1,60} (?:as |to be )?(?:off[- ]limits|
    read[- ]?only|frozen|sacred|
    sacrosanct|untouchable|immutable|closed|a given|given|fixed|locked|final|taboo|production|out of bounds|
    not yours|public|private|stable)(?!\p{L})
  `,
  "iu",
);

/** The person who decides or acts, and when to ask. */
const approval = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:ask|consult|check with|talk to|confirm with|clear it with|run (?:it|them|that|this|
    everything|changes|\S+) (?:by|past)) (?:me|us|
    \p{Lu}\p{Ll}+)(?: about it| first| beforehand)?(?: before| first| beforehand| when| if| whenever|$|
    [.,!])|
    (?:tell|warn|ping|notify|inform|show) (?:me|us) (?:.{1,40} )?before (?:you|any|touching|chang|delet|
    writ|mov|remov|push|merg|deploy)\p{L}*|
    (?:ask|check|confirm)(?: first)?,? before|(?:get|obtain|need|have|wait for|with|
    without)(?: \S+)? (?:(?:my|our|\p{Lu}\p{Ll}+['’]s) (?:ok|okay|
    approval|permission|blessing|go-ahead|sign-?off|consent|confirmation|say-so))|let (?:me|us) (?:review|
    approve|decide|see|check|
    confirm|know) (?:.{0,40} )?(?:before|first|when(?:ever)?|if)|leave .{1,40} (?:to|for) (?:me|us|
    \p{Lu}\p{Ll}+)(?=[.,!]|$)|
    (?:i|we)(?:['’]ll| will)? (?:do|handle|take care of|make|run|write) (?:all )?(?:the |any )?\p{L}+(?:s|
    ing)?(?: \p{L}+s)? (?:myself|ourselves|on my own|by hand)|
    (?:i|we) (?:do|handle|own) (?:all )?the \p{L}+s(?=[.,!]|$)|(?:has|have|need|needs) to (?:ask|go through|
    be (?:approved|reviewed|signed off))|
    (?:when|if|where|wherever)(?: you(?:['’]re| are)?| something(?:['’]s| is)?| anything(?:['’]s| is)?| it(?:['’]s| is)?| things are)? (?:ever |at all )?(?:in doubt|unsure|unclear|uncertain|not sure|
    ambiguous|stuck|don['’]t know|blocked|get stuck|confused)[^.!?]{0,30}, (?:please |just |always )?\p{L}+|
    (?:if|when(?:ever)?) .{1,60}, (?:please |just |always |rather )*(?:ask|tell|report|
    warn|ping|stop|let (?:me|us) know|say so|notify|flag|speak up)(?! (?:the|a) )|(?:ask|report|tell|
    flag).{1,40}(?:instead of|rather than) (?:guess|skip|chang|fix|
    delet|assum)\p{L}*|unless (?:i|we) (?:tell|say|ask|told)|no surprises)(?!\p{L})
  `,
  "iu",
);

/** How the chat is to speak and write. */
const manner = new LazyRegExp(
  pattern`
    ^(?:(?:please|and|also|but|ok|so|always|try to)[\s,]+)*(?:(?:(?:answer|reply|respond|speak|talk|write|
    explain|communicate|comment)(?: (?:to )?(?:me|us))?(?: (?:everything|things|
    (?:your |the |all )?(?:answers|replies|comments|commits?|messages|commit messages|docs|reports|
    texts)))?(?: (?:only|always|strictly))? (?:in|with|like|as if|using|as though|briefly|concisely|tersely|
    formally)(?! (?:the|this|that) (?:\S+ )?(?:file|ticket|chat|issue|thread|code|parser|table))|
    be (?!able|in|on|at|the|there|here|back|careful with the)(?:more |less |very |a bit |extra |
    as )?(?:concise|brief|terse|short|polite|honest|blunt|direct|verbose|critical|careful|conservative|
    strict|
    thorough|economical|frugal|consistent|explicit|patient|formal|precise|pragmatic|skeptical|sceptical|
    gentle)|
    (?:explain|justify|document|list|cite|quote|state|mention|summari[sz]e) (?:things|everything(?! (?:in|
    on|about|to) )|yourself|each|every|your (?:steps|changes|reasoning|sources|thinking|choices|
    assumptions))|
    (?:match|mirror|respect|preserve|keep|mimic|imitate|honou?r|observe|obey) (?:the |our |existing |
    surrounding )*(?:existing |current |surrounding |code |coding |project |present )*(?:style|conventions?|
    formatting|
    structure|guidelines?|patterns?|tone|naming|rules|layout|api|interfaces?|public (?:api|interface))|
    (?:address|greet|call) (?:the |all |our )?(?:users?|customers?|readers?|clients?)|
    (?:indent|name|prefix|suffix|format|wrap|express|represent|quote|spell|capitali[sz]e|number|sort|order|
    keep|store|put|write|measure|round|log|tag|sign|squash|rebase) (?!(?:the|this|that|these|those|a|an|it|
    them|him|her|my|one|up|down)(?!\p{L}))(?:all |every |any )?
    [\p{L}-]+(?: [\p{L}-]+)? (?:in|as|with|under|into|after|to|at|inside|below|within|above|
    out of) (?!(?:the|this|that|these|those|a|an|my|it)(?!\p{L})))|
    (?:i['’]d|i would) like you to (?:always |never |explain each|keep|ask)|(?:don['’]t|do not|
    never) (?:bother|be|
    get) (?!shy|afraid|worried|confused|surprised|alarmed|mad))
  `,
  "iu",
);

/** A bound or a manner without a verb: "All dates in ISO 8601", "Stdlib only". */
const verbless = new LazyRegExp(
  pattern`
    ^(?:(?:and|also|but|please|again|oh|remember|note|rule|important)[\s,:]+)*(?:
    (?:max(?:imum|\.)?|min(?:imum|\.)?|at most|at least|no more than|not more than|no longer than|up to|
    under|below|within|less than|fewer than|budget|limit|line length|max line length|
    deadline)(?: (?:\p{L}+ ){0,3}(?:of|is|:|=))? ?\D{0,25}\d.*|
    (?:stay|keep|remain)s? (?:\S+ ){0,4}(?:within|under|below|at|above|over|inside) \S*\d.*|
    (?:\S+ ){1,4}(?:stay|stays|remain|remains|kept|is kept|are kept|below|under|within|
    limited to) (?:under |below |within |at )?\d.*|
    (?:only|just|exclusively|strictly|solely) (?!(?:the|one|two|three|a|an|this|that|i|you|we|he|she|it|
    they|then|now|after|when|if|\d+)(?!\p{L}))[^,;]{2,60}|
    use (?:only|nothing but|exclusively) .+|
    (?!(?:the|this|that|my|your|i|it|he|she|is|we|you)(?!\p{L}))(?:[\p{L}\p{N}_./+-]+ ){1,4}(?:only|
    exclusively|everywhere|throughout)(?:,? please)?|
    (?:all|every|any|each|one|small|short|big|large|public|new|commit|branch|error|log|ui|variable|column|
    table|file|test) ?(?:\p{L}+ ){0,3}(?:in|behind|with|per|under|as|through|via|for) (?!the (?:list|table|
    page|form|menu))[^,;]{2,50}|
    (?:small|short|tiny|atomic|descriptive|meaningful|explicit|strict|pure|functional|plain|clean|readable|
    simple)(?: \p{L}+){1,2}(?: over \p{L}+| only)?,? (?:please|always)|
    (?:[\p{L}'’-]+ ){1,4}in (?:all|every|any|each) (?:[\p{L}-]+ ?){1,3}|
    (?:[\p{L}'’-]+ ){1,5}in (?:english|german|french|spanish|italian|dutch|polish|russian|japanese|chinese|
    portuguese|turkish|swedish|british english|american english|utc|cents|metric|iso[ -]?\d*|
    markdown)(?: only)?(?:,? please)?|
    (?:[\p{L}'’-]+ ){1,3}(?:stay|stays|remain|remains) (?:formal|informal|stable|unchanged|untouched|
    as (?:is|it is|they are)|the (?:way|same)|small|backwards?[- ]compatible|compatible|private|public|
    english|german|where|in|out).*|
    (?:\p{L}+ ){1,4}(?:goes|go|belongs?) (?:to|into|in|under) \S+, (?:nowhere|not|never).*|
    red, green, refactor.*|keep it (?:simple|short|minimal|small|clean|boring|dry)|(?:kiss|dry|yagni|
    tdd)(?: please)?
    )[.!]*$
  `,
  "iu",
);

/** "Errors should bubble up", "Commits go to develop": all things of a common kind. */
const ofEveryKind = new LazyRegExp(
  pattern`
    ^(?:(?:and|also|but|please|note|remember|i (?:want|expect|like|prefer)|we (?:want|expect|like|
    prefer))[\s,:]+)*(?:(?!(?:the|these|those|some|two|three|more|my|our|your|which|what|fix|
    add)(?!\p{L}))[\p{L}-]+ ){0,2}
    (?:commits|commit messages|messages|comments|tests|diffs|branches|branch names|prs|pull requests|
    dependencies|names|identifiers|functions|methods|classes|types|
    errors|exceptions|logs|docs|docstrings|answers|replies|files|lines|imports|migrations|secrets|passwords|
    credentials|tokens|dates|timestamps|amounts|prices|variables|constants|
    headings|labels|texts|strings|queries|endpoints|components|hooks|modules|packages|releases|tags|changes|
    keys)(?:[.!]*$| (?:should|shall|belong|go|live|stay|come|start|end|follow|carry|get \p{L}+(?:ed|en)|
    are (?:always|never|in|named|written|prefixed|kept|stored|to|formatted|small|signed|squashed|utc)|(?:in|
    behind|without|with|per|under) )(?!\p{L})(?! (?:faster|again|missing)).*)
  `,
  "iu",
);

const noThing = new LazyRegExp(
  pattern`
    ^[\s,]*(?:(?:please|and|but|also|so|ok|then)[\s,]+)*(?:(?:absolutely|strictly|definitely) )?(?:no|zero|
    none of)
    (?! (?:one|longer|more than one way|thanks|wait|it|that|i|this|you|not|is|was|idea|clue|luck|problem|
    need|error|change|result|data|output|match|response|answer|news|progress|way|sign|trace|difference|
    effect)s?(?!\p{L}))
    (?: [\p{L}\p{N}_./'’-]+){1,4}(?: (?:in|on|inside|within|at|from|for|without|to|unless|
    until) .{1,60})?(?:,? please)?[.!]*$
  `,
  "iu",
);
/** Found or missing: a report. */
const report = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:so far|yet|found|anymore|any more|left|since|today|yesterday|again|missing|(?:was|were|
    appears?|shows?|shown|happens?|comes?|arrives?|works?|worked|fails?|failed)(?= |[.!,]|$)|
    needed|for this one|in the (?:log|logs|output|folder|file|console|table|list|response)|
    with the new)(?!\p{L})
  `,
  "iu",
);

/** [CP20] "Only two tests are left", "No changes so far": how many there are. */
export function isCounted(sentence: string): boolean {
  if (!/^(?:(?:and|but|so|ok|now)[\s,]+)*(?:no|only|just|nothing|none)(?!\p{L})/iu.test(sentence)) return false;
  return report.test(sentence) || counted.test(sentence);
}

const counted = new LazyRegExp(
  pattern`
    ^(?:\S+ ){0,2}(?:only|just) (?:the|one|two|three|four|five|six|\d+|a few|some|half|part|this|
    that)(?!\p{L}).*(?<!\p{L})(?:is|are|was|were|fails?|
    failed|left|remains?|missing|open|works?|passe[sd]|pass|shows?|changed)(?!\p{L})
  `,
  "iu",
);

/** These also describe what is: with a request beside them they only tell its background. */
const statements = [status, teamHabit];
const forms = [treatment, precedence, approval, manner, ofEveryKind];

/** [CP20] Rules known by their shape, not by words such as "always". @param sentence or a clause */
export function isHouseRule(sentence: string, whole = sentence): boolean {
  if (sentence.split(/\s+/).length > maxWords) return false;
  if (statements.some((one) => one.test(sentence))) return !clauses(whole).some(asksForWork);
  if (forms.some((one) => one.test(sentence))) return true;
  return !report.test(sentence) && (verbless.test(sentence) || noThing.test(sentence));
}

const maxWords = 24;
