/**
 * Words that name nothing of the work: a prompt of these alone, in any order, asks for nothing new
 * and settles nothing. Left out: verbs that change things (fix, undo, stop, use) and "no".
 */
const english = `
  y yes yeah yep yup ya yay yess yus ok okay okey oki okie dokie dokey k kk kewl sure surely fine
  good great nice noice perfect cool right righto rightyo rightio correct exactly agreed approved
  approve accepted granted confirmed affirmative aye ayes captain sir boss chief mate man dude bro
  buddy pal m8 thanks thank thanx thx thnx tnx tks ty tysm tyvm please pls plz kindly go going
  gone ahead on continue continuing proceed carry keep resume do doing did done does it that this
  these those they them he she is are was were be been so then and or but now just the a an i im
  i'm i'd i'll i've ive id we we're you you're youre your yours u ur my me mine our ours us let
  lets let's with without next step steps part parts of all both either neither any every each to
  for at as in by up down out off over from than like sounds sound sounding looks look looking
  seems seem feels feel lgtm sgtm gtg fyi imo imho tbh btw lol lmao rofl haha hahaha hehe heh xd
  well alright alrighty alrite aight absolutely definitely certainly totally completely entirely
  perfectly clearly obviously indeed excellent awesome wonderful super superb amazing amazed
  brilliant lovely fantastic fabulous terrific stellar splendid marvelous marvellous magnificent
  outstanding impressive impressed incredible gorgeous beautiful beautifully neat neatly nicely
  solid sweet sick dope lit ace brill stoked epic legend legendary genius star hero wizard champ
  rock rocks rad rockstar pro top tops notch spot mint bang yay woo woohoo hooray hurray hurrah
  yippee wow whoa woah ooh phew bravo kudos props congrats congratulations cheers hats chapeau np
  ta love loved loving adore hi hello hey heya hiya yo hm hmm hmmm hm mm mhm mmm ah aha ahh oh ooh
  uh um erm er eh onward onwards upward upwards forward forwards proceeding moving move along roll
  rolling rock fire away crack shoot hit works worked work working job jobs effort more again
  retry try same start begin finish finished wrap happy glad pleased satisfied content content
  better best much way even far bit little lot lots bunch ton tons million heap heaps very really
  so quite pretty rather too enough fair point true truth news bad worst worse shabby wrong mind
  care trust believe think guess suppose reckon hope know knew see saw hear got get getting
  getting gotcha gotchas understood understand understandable roger copy wilco noted word bet deal
  yours whatever whichever whoever however wherever anyway anyhow call choice pick decision
  dealer's thing things stuff one ones two once time times everything anything something nothing
  what which who how why where when if whether not can could can't cannot couldn't will would
  won't wouldn't should shall may might must don't dont didn't doesn't isn't have has had having
  haven't make makes made making sense total complete clear crystal clears clearer plain
  reasonable reasonably sensible legit valid useful helpful interesting interested curious
  fascinating funny fun cute quick quickly fast slick smooth smoothly easy plan plans planned
  planning discussed described proposed suggested suggestion suggestions recommended idea ideas
  mentioned stated said say says saying told tell meant mean means wanted want wants needed need
  needs expected hoped asked wished wish there here where left stopped before earlier already yet
  still later soon today tonight tomorrow morning afternoon evening day days night weekend rest
  others other another second third first last final finally both half whole entire come coming
  take took taking give gave giving given put has pick picked follow rely count ship shipped
  shipping send sent merge merged merging land landed order orders ten four stand nailed killed
  killing crushed crushing smashed rocking it's its that's thats there's what's here's who's isn't
  he's helped helps help explaining explanation explained info information update heads answer
  answers reply question questions further problem problems prob probs worries worry rush pressure
  hurry objection objections complain complaint complaints doubt doubts concern concerns issue
  issues biggie sweat stress harm feelings hard brainer comment comments note notes remark remarks
  words offence offense kidding joke luck add thought thoughts opinion preference preferred fan
  big huge life saver lifesaver course means all no-brainer necessarily necessary guest pleasure
  appreciated appreciate appreciates obliged grateful gratitude bless dear friend guys folks team
  everyone everybody buddy hang hold wait sec second moment minute while back brb afk later cya
  bye goodbye see ya welcome sorry apologies oops whoops possible sooner ready set steady steam
  full speed throttle ease greenlight green light thumbs thumb seal actually basically honestly
  frankly literally simply maybe perhaps probably possibly likely apparently presumably somehow
  kinda kind sorta sort only also ever since because though although until till during about
  against between after am being isn't wasn't weren't aren't ain't shouldn't
`;
const german = `
  ja jo jep jup jaja jawohl jawoll klar klaro gut gute guter gutes guten genau passt weiter
  weiterhin mach machen macht mache mache's machs machst bitte bittesehr weitermachen danke
  dankeschön dank dir super prima toll klasse spitze top perfekt wunderbar hervorragend
  ausgezeichnet großartig genial geil mega hammer stark schön schick sauber ordentlich
  einverstanden verstanden verstehe kapiert alles klingt hört sieht aus an sich geht läuft lief
  klappt hat so es und nun los leg legt leg's auf voran vorwärts ab dann doch mal na ne nee halt
  eben gern gerne freut mich uns mir dir euch wir ich du ihr er sie man ist war bist bin sind sei
  wäre das dies dieses der die den dem des ein eine einen zu zum vor mit ohne wie was wer wenn
  dass ob nicht kein keine keinen ding problem probleme stress eile sorge einwände einwand fragen
  frage noch nochmal einmal wieder später gleich jetzt schon auch nur sehr echt wirklich total
  völlig ganz viel vielen vielmals tausend herzlichen lieben recht richtig stimmt korrekt okay von
  meinetwegen wegen soll willst magst möchtest kannst darfst denn dein deine entscheidung
  überlasse gefällt gefallen finde find arbeit gemacht geschafft erledigt fertig nächste nächsten
  nächster nächstes schritt punkt teil rest alle beide beides beim im in am um für bis dahin hier
  da moin servus hallo tschüss tschö bestens wohl fein feine sache sachen idee plan geplant
  besprochen gesagt weiß gemeint gewollt freie fahrt bahn hand
`;
const romance = `
  oui ouais ouaip ouep ok d'accord d'acc dac vas-y allez-y vas va allez allons allons-y on y c'est
  c'était est parti continue continuez continuons poursuis poursuivez poursuivre continuer merci
  mercis beaucoup mille bien bon bonne très trop parfait parfaite parfaitement super génial
  géniale top nickel impeccable impec magnifique excellent formidable chouette cool joli beau
  bravo chapeau fais faites le la les l' un une des du de ça cela ce me te nous vous moi toi je tu
  il elle va convient plaît marche roule gaze semble paraît noté compris entendu reçu bien-sûr sûr
  certainement volontiers évidemment exactement exact tout toute tous à au fait fonce foncez joué
  travail boulot aucun pas de problème souci soucis encore suite suivant suivante prochaine étape
  reste comme prévu veux voulez préfères peux pouvez pour qui que quoi stp svp s'il si sí vale
  bueno buena buenísimo bien claro sigue sigan seguimos seguir continúa continua continúe
  continuar adelante gracias muchas muchísimas mil perfecto perfecta genial estupendo estupenda
  fenomenal excelente fantástico fantástica maravilloso maravilla guay chévere bárbaro dale hazlo
  hágalo de acuerdo tira venga vamos va así me te se le nos lo los las el muy mucho más todo toda
  eso esto es está están parece gusta encanta suena trabajo hecho listo entendido comprendido
  claro-que por supuesto favor siguiente paso otra vez sin problema problemas con y o a que como
  quieras prefieras tú yo nada sim beleza blz valeu vlw obrigado obrigada obg certo isso ótimo
  ótima tá está bom boa bem muito show bola massa legal joia jóia perfeito perfeita pode podes ir
  seguir segue siga manda ver mandar prossiga prosseguir continue concordo combinado entendi
  entendido tudo por mim em frente próximo próxima passo trabalho va bene benissimo certo avanti
  avanza grazie mille tante procedi prosegui continua pure perfetto perfetta ottimo ottima
  ottimamente bravo brava bravissimo bello bella fatto lavoro così ci sta andiamo vai d'accordo
  capito chiaro tutto ok mi ti ci si piace sembra pare nessun problema prossimo prossima passo fai
  forza dai esatto giusto che è era sono non con
`;
const others = `
  hoi goed goede prima verder doorgaan graag bedankt dank dankje je jij wel u lekker bezig ziet er
  uit ga gang maar doe door ik vind het de een mooi mooie mooi top helemaal klopt akkoord begrepen
  duidelijk geen probleem volgende stap leuk fijn zo dan nu ook nog even goeie gedaan werk
  hartelijk heel erg tak dobrze dalej kontynuuj dzięki dzieki dziękuję dziekuje jasne super
  świetnie świetny świetna swietnie pięknie brzmi rób zrób pewnie zgoda zgadzam się ok okej bardzo
  wielkie śmiało jedziemy lecimy idziemy działaj git spoko rozumiem zrozumiałem nie ma problemu
  sprawy to jest i evet devam tamam tamamdır tamamdir harika süper güzel çok iyi teşekkürler
  teşekkür ederim sağ ol sağol eline ellerine sağlık et edin edelim olur peki anladım mükemmel
  aynen hadi lütfen jo jatka kyllä kiitos kiitti hyvä hyvin hienoa hieno mahtavaa selvä fortsätt
  bra tack snyggt snygg kör på ser ut jättebra toppen absolut okej perfekt grymt visst fortsæt tak
  fint flot takk tusen mange kjør videre ano dobře díky děkuji pokračuj jasně skvěle igen köszönöm
  rendben folytasd szuper da mulțumesc bine bun continuă hai да ага угу ок окей хорошо отлично
  супер круто класс классно здорово прекрасно замечательно идеально великолепно молодец молодчина
  красота красиво давай давайте дальше продолжай продолжайте продолжаем поехали вперёд вперед
  спасибо благодарю большое огромное ладно понял поняла понятно ясно верно правильно точно
  согласен согласна конечно всё все так держать это не вопрос проблем проблема без нет и очень мне
  нравится хорошая работа годится пойдёт пойдет делай сделай следующий шаг норм нормально
  пожалуйста я ты мы вы хочешь гаразд добре дякую чудово так далі
`;

interface Vocabulary {
  readonly words: ReadonlySet<string>;
  /** Each longer word without one of its letters. */
  readonly shortened: ReadonlySet<string>;
}

let known: Vocabulary | null = null;

function vocabulary(): Vocabulary {
  if (known) return known;
  const all = `${english} ${german} ${romance} ${others}`.split(/\s+/);
  const long = all.filter((one) => one.length > minSlipLength);
  return (known = { words: new Set(all), shortened: new Set(long.flatMap(withoutOneLetter)) });
}

const minSlipLength = 5;

function withoutOneLetter(word: string): string[] {
  return Array.from({ length: word.length - 1 }, (_, at) => word.slice(0, at + 1) + word.slice(at + 2));
}

function withTwoSwapped(word: string): string[] {
  return Array.from(
    { length: word.length - 1 },
    (_, at) => `${word.slice(0, at)}${word[at + 1] ?? ""}${word[at] ?? ""}${word.slice(at + 2)}`,
  );
}

/** "sooo", "yesss": drawn out, not misspelt. */
function notDrawnOut(word: string): readonly string[] {
  return [word.replaceAll(/(\p{L})\1{2,}/gu, "$1"), word.replaceAll(/(\p{L})\1{2,}/gu, "$1$1")];
}

/** Pure. Misspelt ones count, but for a changed letter, which makes another word (clear, clean). */
export function isSmallTalkWord(word: string): boolean {
  const { words } = vocabulary();
  return [word, word.replace(/['’]s$/u, ""), ...notDrawnOut(word)].some((one) => words.has(one)) || isMisspelt(word);
}

/** Two letters that changed places, or in a long word one too many or too few. */
function isMisspelt(word: string): boolean {
  if (word.length < minSlipLength) return false;
  const { words, shortened } = vocabulary();
  if (withTwoSwapped(word).some((one) => words.has(one)) || shortened.has(word)) return true;
  return word.length > minSlipLength && !word.endsWith("s") && withoutOneLetter(word).some((one) => words.has(one));
}
