import { expect, it } from "vitest";
import { sentences } from "#src/local-mcp/words/sentences.ts";
import { ordersIn } from "#src/local-mcp/words/standing-order.ts";

it.each([
  "Always run the linter before you commit.",
  "Never e-mail a customer without my approval.",
  "Please do not touch the vendor folder",
  "Don't use semicolons",
  "All amounts must be stored in cents.",
  "Keep paragraphs below 80 words",
  "Only metric units.",
  "From now on answer in French.",
  "Remember that the venue closes at 22:00.",
  "Prefer short sentences",
  "We use tabs in this repo.",
  "In tests, never sleep.",
  "You must not rename public functions.",
  "No emojis in headings",
  "At most 3 retries per request.",
  "Could you always cite the source?",
  "Die Rechnung darf niemals doppelt verschickt werden.",
  "Ab jetzt immer auf Deutsch antworten.",
  "Ne touche pas à la table clients.",
  "Utilise toujours le mode sombre.",
  "Nunca borres los registros.",
  "A partir de ahora los commits van en inglés",
  "Non toccare il file di configurazione",
  "Никогда не меняй схему базы.",
  "不要修改配置文件。",
  "コミットメッセージは必ず英語で書く。",
  "항상 테스트를 먼저 실행하세요",
  "Nobody may open the kiln alone.",
  "I don't want to see red ink in any letter.",
  "We can't use lead glaze here.",
  "The cellar is off limits.",
  "Keep out of the cellar.",
  "Each shelf needs a label with its date.",
  "I want everything signed with a stamp, always.",
  "Wash the brushes before you leave, every time.",
  "When you add a recipe, note its source.",
  "You may read the ledger but not write in it.",
  "Make it a habit to weigh the clay.",
  "You'll sweep the floor after each batch, ok?",
  "Finger weg vom Ofen!",
  "Rien sans un reçu.",
  "Lascia stare: è vietato aprire la cassa.",
  "窯に触らないでください。",
])("[CP20] a standing order is taken as a whole sentence: %s", (sentence) => {
  expect(ordersIn(`Look at the third chapter first. ${sentence}`)).toEqual([sentence]);
});

it.each([
  "I always wondered how that works.",
  "It never worked on my machine.",
  "I must say this looks great.",
  "There must be a bug in the lexer.",
  "The test always fails on Mondays.",
  "I don't know where the file is.",
  "Don't worry about it.",
  "No problem, take the second one.",
  "Keep going.",
  "Do you remember the talk of last week?",
  "It keeps crashing.",
  "We have to have a look at the logs some day?",
  "Ich habe das noch nie gesehen.",
  "Fix the parser and add a test.",
  "Nothing happens when I turn the key.",
  "We can't find the key.",
  "Whenever I open the door, it squeaks.",
  "No results are shown in the list.",
  "Add a label to every shelf.",
  "We have to get the kiln going today.",
  "Never mind",
])("[CP20] what is told, guessed or asked is no order: %s", (sentence) => {
  expect(ordersIn(sentence)).toEqual([]);
});

it("[CP20] a few words after an order belong to it", () => {
  expect(ordersIn("The cellar is frozen. No visits there. Then bake the bread.")).toEqual([
    "The cellar is frozen. No visits there.",
  ]);
  expect(ordersIn("Red ink? Never.")).toEqual(["Red ink? Never."]);
  expect(ordersIn("bake the bread Never open the oven")).toEqual(["Never open the oven"]);
});

it("[CP20] pasted code, logs and quotations are not the user's words", () => {
  const pasted =
    "Why does it say this?\n```\n// never call this twice\n```\n> You must not do that\nError: must be a string\n2026-01-02 always on";
  expect(ordersIn(pasted)).toEqual([]);
  expect(sentences("See e.g. config/prod.yml. Then version 2.1 of it.")).toEqual([
    "See e.g. config/prod.yml.",
    "Then version 2.1 of it.",
  ]);
});
