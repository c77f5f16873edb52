import { expect, it } from "vitest";
import { isAcknowledgement } from "#src/local-mcp/words/acknowledgement.ts";
import { retracts } from "#src/local-mcp/words/change-of-mind.ts";
import { findCompletion } from "#src/local-mcp/words/completion.ts";
import { decisionsOfUser } from "#src/local-mcp/words/decision.ts";
import { findNextStep } from "#src/local-mcp/words/next-step.ts";
import { ordersIn } from "#src/local-mcp/words/orders.ts";

it.each(
  [
    ["makes sense", "not bad", "no problem", "yes please continue with the next one", "ship it", "+1", "xD", "yesss"],
    ["thnaks!", "contineu", "much obliged", "haha nice", "keep doing what you're doing", "no further questions", "wow"],
    ["klingt gut", "na dann los", "ça marche", "muy bien, sigue así", "ci sta", "top, dank je wel", "круто, спасибо"],
    ["太好了", "素晴らしい", "좋은데요, 감사합니다", "eline sağlık", "tusen takk", "génial, merci beaucoup"],
  ].flat(),
)("[CP63] [CP8] words that name nothing are an acknowledgement, also in unusual forms: %s", (prompt) => {
  expect(isAcknowledgement(prompt)).toBe(true);
  expect(ordersIn(prompt)).toEqual([]);
  expect(decisionsOfUser(prompt)).toEqual([]);
});

it.each([
  "merge now",
  "clean",
  "make it better",
  "what now?",
  "keep it simple",
  "dark mode",
  "next: the footer",
  "do the second thing",
  "the latter, please",
])("[CP63] asks for something: %s", (prompt) => {
  expect(isAcknowledgement(prompt)).toBe(false);
});

it.each(
  [
    ["Write tests first.", "Treat the cellar as off limits.", "Keep your hands off the kiln.", "Stay away from it."],
    ["Safety comes first.", "No plastic in this kitchen.", "We're a vegan house.", "Recipes in French, please."],
    ["Ask me before you fire the kiln.", "Answer in short sentences.", "Under 300 words per page.", "Stdlib only."],
    ["I can't stand exclamation marks.", "Leave the invoices to me.", "When in doubt, ask.", "Salt over sugar."],
    ["Match the style of the other letters.", "The letterhead is sacrosanct.", "All weights in grams."],
    ["Fass den Ofen bitte nicht an.", "Antworte mir auf Deutsch.", "Keine neuen Zutaten.", "Sicherheit geht vor."],
    ["Réponds en français.", "Laisse le four tranquille.", "Nada de plástico.", "El horno no se toca."],
    ["Chiedimi prima di aprire il forno.", "Não mexa no forno.", "Geen nieuwe kleuren.", "Никаких новых красок."],
    ["新しい色は追加しないで。", "不许改配方。", "소금은 추가하지 마세요."],
  ].flat(),
)("[CP20] a standing order without a word such as always: %s", (sentence) => {
  expect(ordersIn(`Look at the third chapter. ${sentence}`).join(" ")).toContain(sentence);
});

it.each(
  [
    ["Only two plates are left.", "No cracks so far.", "Add a lid that must not rattle.", "Put the lid under the pot."],
    ["Every shelf gets a label; add that to the plan.", "Do everything in the list.", "I hate this knob."],
    ["Ask the baker for the list of breads.", "We're a team of four.", "Write the letter in the reader's language."],
    ["Keine Ahnung, warum das nicht geht.", "Pas de souci, continue.", "Mach die Tabelle nicht so breit."],
  ].flat(),
)("[CP20] tells or asks for one thing, and is no standing order: %s", (sentence) => {
  expect(ordersIn(sentence)).toEqual([]);
});

it.each(
  [
    ["npm ERR! Use --force to proceed", "hint: use the blue one instead", "fatal: you must not be on a branch"],
    ['The guest wrote: "you must refund me".', "The manual says you must never open it.", "He said: 'we use oak'"],
  ].flat(),
)("[CP57] is not the user's own word: %s", (text) => {
  expect([...ordersIn(text), ...decisionsOfUser(text)]).toEqual([]);
});

it.each(["Don't fire the kiln yet.", "Do not open the shop for now.", "Mach den Ofen noch nicht an.", "Not yet."])(
  "[CP58] holds for the moment: %s",
  (text) => {
    expect(ordersIn(text)).toEqual([]);
  },
);

it.each([
  ["The vendor folder is fair game again.", "Never touch the vendor folder."],
  ["I lift the ban on the cellar.", "The cellar is off limits."],
  ["You can push without asking.", "Ask me before you push."],
  ["Du darfst den Ofen jetzt anfassen.", "Fass den Ofen nicht an."],
  ["Which wood? -> beech", "Which wood? -> oak"],
])("[CP21] %s takes back: %s", (later, earlier) => {
  expect(retracts(later, earlier)).toBe(true);
});

it.each([
  ["You may start now.", "Never touch the cellar."],
  ["Which glue? -> none", "Which wood? -> oak"],
])("[CP21] %s leaves alone: %s", (later, earlier) => {
  expect(retracts(later, earlier)).toBe(false);
});

it.each(
  [
    ["Note that guests will need to sign again.", "This will be faster in winter.", "The shop is open to all now."],
    ["When the jar is empty, the machine rings.", "Das Tor ist jetzt für alle offen.", "It has not changed the taste."],
  ].flat(),
)("[CP61] tells what a thing does, and no next step: %s", (text) => {
  expect(findNextStep(`The lid is done. ${text}`)).toBeNull();
});

it.each(
  [
    ["The lid is half done.", "The lid is in; the hinge and the knob are missing.", "The knob has to be sanded."],
    ["I have not tried it on glass.", "The hinge remains to be oiled.", "Es fehlen noch die Griffe."],
  ].flat(),
)("[CP46] names what is open: %s", (step) => {
  expect(findNextStep(`I began. ${step}`)).toBe(step);
});

it.each([
  ["Add a lid to the pot", "The lid of the pot is half done."],
  ["Add a lid, a hinge and a knob", "Lid added; the hinge and the knob are missing."],
  ["Mend the broken plates", "3 of 12 broken plates are mended."],
  ["Write the letter", "The letter is nearly finished."],
  ["Write the letter", "The letter should be done by noon."],
  ["Den Deckel bauen", "Der Deckel ist zur Hälfte fertig."],
])("[CP60] is not done: %s | %s", (goal, answer) => {
  expect(findCompletion(goal, answer, 0.4)).toBeNull();
});

it.each([
  ["Fix the failing auth tests", "All auth tests pass."],
  ["Mend the broken plates", "The broken plates are mended: 12 of 12."],
  ["Stop the leak in the roof", "The leak in the roof is gone."],
  ["Port the nine plates to glass", "All nine plates are ported to glass."],
])("[CP60] is done: %s | %s", (goal, answer) => {
  expect(findCompletion(goal, answer, 0.4)).toBe(answer);
});
