import { visible } from "../../shared/visible-text.ts";

/** Pure: text of other chats must not act on the screen, end a fence or pass for a speaker. */

const tags =
  /<(?=\s*\/)|<(?=[!?|])|<(?=\s*(?:system|user|assistant|human|developer|tool|function|invoke|parameter|thinking|instructions?|context|document|command|local-command|task-notification|important|admin|antml|s>)\b)|<(?=[a-z]\w*[-_:])/giu;
const speakers = "human|assistant|system|user|developer|tool";
const others = "model|ai|bot|agent|claude|chatgpt|gpt(?:-\\w+)?|gemini|copilot|operator|function|system prompt";
const mark = String.raw`([ \t]*(?:[*_]{1,2}[ \t]*)?)[:：]`;
const roles = new RegExp(String.raw`^([ \t>*_#"'([-]*)(${speakers}|${others})${mark}`, "gimu");

/** Within a line a small word is prose ("for the user: a list"). In JSON `\n` begins a line. */
const rolesWithin = new RegExp(
  String.raw`(?:(?<![\p{L}\p{N}_-])|(?<=\\[nrt]))([Hh]uman|[Aa]ssistant|HUMAN|ASSISTANT|System|SYSTEM|User|USER|Developer|DEVELOPER|Tool|TOOL)${mark}(?=[\s*_]|$)`,
  "gu",
);

export function neutralize(text: string): string {
  return removeMarks(text).replaceAll(roles, "$1$2$3 -").replaceAll(rolesWithin, "$1$2 -");
}

/** Keeps the first words of lines that SHIM has made of neutralized parts. */
export function removeMarks(text: string): string {
  return visible(text.replaceAll(/\r\n?|[\u0085\u2028\u2029]/g, "\n"))
    .replaceAll(/shim-(?:recovered-session|team-news)/gi, "[fence]")
    .replaceAll(/`{3,}|~{3,}/g, "'''")
    .replaceAll(tags, "‹")
    .replaceAll(/\[(\/?)(INST|SYS)\]/gi, "($1$2)");
}
