import { LazyRegExp, pattern } from "./pattern.ts";
/** Any other word in a prompt makes it a request. */
const acknowledgementWords = new Set(
  `y yes yeah yep yup ya ok okay okey k kk sure fine good great nice perfect cool right correct exactly agreed approved thanks thank thx ty please pls
   go going ahead on continue proceed carry keep resume do did it that this so then and now just the a i we you let lets let's us with next step part all of both
   sounds looks lgtm done well alright absolutely definitely excellent awesome wonderful super amazing yay love hi hello hey hm hmm mhm ah oh
   sgtm nicely neat solid sweet brilliant lovely cheers np ta keep keeping at up onward onwards proceeding
   to me as is fine works for more again retry try same forward start begin work working finish
   ja jo jep klar gut genau passt weiter mach machen mache bitte danke super prima einverstanden so es und nun los gerne
   oui ouais d'accord vas-y vas y continue continuez merci bien parfait c'est bon allez fais le poursuis
   si sí vale bueno claro sigue continúa continua adelante gracias perfecto hazlo de acuerdo dale
   sim continue prossiga obrigado obrigada certo beleza pode ir va bene certo avanti grazie procedi perfetto
   tak dobrze dalej kontynuuj dzięki dzieki jasne evet devam tamam teşekkürler hai goed prima verder doorgaan graag bedankt
   да ага ок хорошо давай дальше продолжай продолжайте спасибо отлично ладно угу
   jo jatka kyllä fortsätt bra tack fortsæt tak`
    .split(/\s+/)
    .map((one) => one.trim()),
);

const unspacedAcknowledgement = new LazyRegExp(
  pattern`
    ^(?:好的?|是的?|对|对的|嗯|行|可以|继续|请继续|接着|谢谢|没问题|同意|はい|ええ|お願いします|続けて(?:ください)?|続行|了解(?:です)?|ありがとう(?:ございます)?|いいです(?:ね)?|
    いいね|進めて(?:ください)?|お願い|そのまま|どうぞ|大丈夫(?:です)?|問題(?:ない|ありません)|很好|不错|就这样|进行吧?|네|예|응|좋아요?|계속(?:해(?:요|줘|주세요)?)?|고마워요?|
    알겠습니다|그래요?|좋습니다|진행(?:해|해줘|해주세요)?|괜찮아요?)+$
  `,
  "u",
);

const limits = { words: 8, chars: 60 };

/** Judges by shape: short, and not one word that says what to do. */
export function isAcknowledgement(prompt: string): boolean {
  const plain = prompt.toLowerCase().replaceAll("’", "'").trim();
  if (plain.length > limits.chars) return false;
  const letters = plain.replaceAll(/[^\p{L}\p{N}' -]/gu, " ").trim();
  if (letters === "") return true;
  if (unspacedAcknowledgement.test(letters.replaceAll(/\s/g, ""))) return true;
  const all = letters.split(/\s+/);
  return all.length <= limits.words && all.every((one) => acknowledgementWords.has(one));
}
