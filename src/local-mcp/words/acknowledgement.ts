import { LazyRegExp, pattern } from "./pattern.ts";
import { isSmallTalkWord } from "./small-talk.ts";

/** Takes the first word that fits, without a second try: `(?=(...))\1`. */
const unspacedAcknowledgement = new LazyRegExp(
  pattern`
    ^(?:(?=(好啊|好哒|好|是的?|对|对的|没错|嗯|行|行吧|可以的?|继续|请|请继续|接着|下一(?:步|个)|来|谢谢(?:你|您)?|多谢|感谢|没问题|没毛病|
    同意|明白了?|知道了|了解(?:了|です|しました)?|收到|懂了|太|真|很|非常|真的|棒|赞|厉害|漂亮|完美|优秀|牛|辛苦了?|就这样|这样|挺|不错|没事|随你|都行|都可以|吧|了|啦|的|呢|
    はい|ええ|うん|お願い(?:します)?|続けて(?:ください)?|続行(?:して(?:ください)?)?|承知(?:しました)?|ありがとう(?:ございます)?|
    いい|良い|よい|です|ですね|ね|よ|感じ|素晴らしい|すばらしい|すごい|最高|完璧|助かり(?:ます|ました)|問題(?:ない|なし|ありません)|次へ|次|
    進めて(?:ください)?|どんどん|そのまま|どうぞ|大丈夫|わかりました|分かりました|なるほど|オーケー|オッケー|OK|それで|で|進行吧?|进行吧?|
    네|넵|넹|예|응|굿|좋(?:아요?|습니다|은데요?|네요?)|오케이|콜|계속(?:해(?:요|줘|주세요)?)?|고마워요?|감사(?:합니다|해요)|수고(?:했어요?|하셨습니다)?|
    알겠(?:습니다|어요)|알았어요?|그래요?|진행(?:해주세요|해줘|해)?|괜찮(?:아요?|네요?|습니다)|완벽(?:해요?|합니다)|훌륭(?:해요?|합니다)|최고(?:예요|입니다)?|
    ok))\1)+$
  `,
  "iu",
);

const limits = { words: 12, chars: 80 };
/** A plain "no" answers something, but "no problem" is a courtesy. */
const courtesy = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:no|zero|without)(?= (?:further |more |other |real |particular )?(?:problems?|
    prob(?:lem)?s?|worries|
    worry|rush|pressure|hurry|need|objections?|complaints?|doubts?|concerns?|questions?|comments?|notes|
    remarks|
    stress|sweat|harm|biggie|brainer|thanks|thank you|idea|offen[cs]e|luck|issues?|feelings|hard feelings|
    wait|joke|
    kidding|preference|opinion|thoughts)(?!\p{L}))|^nope?(?=,? (?:all|it['’]?s|that['’]?s|i['’]?m|we['’]?re|
    you['’]?re|no|go|thanks|thank)(?!\p{L}))|(?<!\p{L})no(?=[\s-]brainer)
  `,
  "iu",
);
/** Signs that stand for a word. */
const sign = /^(?:\+1|10-4|100 ?%|💯)[.!]*$/u;

/** Pure. [CP8] Says nothing new, and asks for nothing. */
export function isAcknowledgement(prompt: string): boolean {
  const words = spoken(prompt);
  return namesNothing(prompt) && !change.test(words) && !choice.test(words);
}

/** Pure. [CP49] [CP63] Short, and each word of it one that names nothing of the work. */
export function namesNothing(prompt: string): boolean {
  if (prompt.trim().length > limits.chars) return false;
  const letters = spoken(prompt);
  if (letters === "" || unspacedAcknowledgement.test(letters.replaceAll(/\s/g, ""))) return true;
  const all = letters.split(/\s+/).map((one) => one.replaceAll(/^['-]+|(?<!['-])['-]+$/gu, ""));
  return all.length <= limits.words && all.every((one) => one === "" || isSmallTalkWord(one));
}

/** Without signs, faces and courtesies. */
function spoken(prompt: string): string {
  const plain = prompt.toLowerCase().replaceAll("’", "'").trim();
  if (sign.test(plain)) return "";
  return plain
    .replace(courtesy, " ")
    .replaceAll(/[:;x=]-?[dp)(]+(?!\p{L})/gu, " ")
    .replaceAll(/[^\p{L}\p{N}' -]/gu, " ")
    .trim();
}

/** "do the second one", "the latter": chooses from a list. */
const choice = new LazyRegExp(
  String.raw`(?<!\p{L})the (?:first|second|third|fourth|last|other|latter|former)(?: (?:one|thing|option|part|step|idea|way))?(?!\p{L}| \p{L}+ (?:is|was|looks?))`,
  "iu",
);
/** "make it better", "merge now", "what now?": no names, but something is asked for. */
const change = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:make|get|put|move|give|take|send|call|hold|wait|help)(?: \p{L}+)? (?:it|them|that|this|
    everything|
    all|me|us|on|back|off|a)(?!\p{L})(?! (?:sense|to me|going|coming|up the))|
    (?<!\p{L})(?:merge|ship|send|land|start|begin|roll)(?: it| that| this)? (?:now|today|tonight|
    again)(?!\p{L})|
    ^(?:(?:ok|okay|no|and|but|so|now|well)\s+)*(?:what|why|how|when|where|which|who|is|are|was|does|did|has|
    have|can|
    could|should)(?!\p{L})(?! (?:can i say|not$|not ))
  `,
  "iu",
);
