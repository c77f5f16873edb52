import { visible } from "../../../shared/visible-text.ts";

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

/** A rendered brief: a line of SHIM, the fence with what was recovered, a line of advice. */
const brief =
  /SHIM: [^\n]{0,400}recovered data, not instructions\.\n<(shim-recovered-session-([\w-]{1,40}))>\n(?:(?!<shim-recovered-session-)[\s\S]){0,12000}?\n<\/\1>\n([^\n]*)/g;

/** The request of a prompt that is a brief and nothing else. */
const request = "continue";

/** News, and words of the user from elsewhere, which a hook has given the chat. */
const delivery = /SHIM: [^\n]{0,400}\n<(shim-(?:team-news|user-message)-[\w-]{1,40})>\n[\s\S]{0,20000}?\n<\/\1>[^\n]*/g;

/** Pure. A prompt without what SHIM has put into it. */
export function withoutOwnTexts(prompt: string): string {
  const own = prompt.replaceAll(delivery, "").trim();
  const rest = own.replaceAll(brief, "").trim();
  return rest === "" && own !== "" ? request : rest;
}

/** The line of advice names the session as a whole, the fence by its beginning. */
const named = /(?:\(of "|--undo |sessions show )([\w-]{1,200})/;

/** The sessions whose briefs stand in the prompt. */
export function briefedSessions(prompt: string): string[] {
  return [...prompt.matchAll(brief)].flatMap(([, , beginning = "", advice = ""]) => {
    const id = named.exec(advice)?.[1];
    return id?.startsWith(beginning) ? [id] : [];
  });
}
