import { visible } from "./visible-text.ts";

/** Pure: text of other chats must not act on the screen, end a fence or pass for a speaker. */

const tags =
  /<(?=\s*\/)|<(?=[!?|])|<(?=\s*(?:system|user|assistant|human|developer|tool|function|invoke|parameter|thinking|instructions?|context|document|command|local-command|task-notification|important|admin|antml|s>)\b)|<(?=[a-z]\w*[-_:])/giu;
const roles = /^([ \t>*#-]*)(human|assistant|system|user|developer|tool)([ \t]*)[:：]/gimu;

const speakers = /(?<=\s)(human|assistant)(\s*)[:：](?=\s|$)/gi;

export function neutralize(text: string): string {
  return removeMarks(text).replaceAll(roles, "$1$2$3 -").replaceAll(speakers, "$1$2 -");
}

/** Keeps the first words of lines that SHIM has made of neutralized parts. */
export function removeMarks(text: string): string {
  return visible(text.replaceAll(/\r\n?|[\u0085\u2028\u2029]/g, "\n"))
    .replaceAll(/shim-(?:recovered-session|team-news)/gi, "[fence]")
    .replaceAll(/`{3,}|~{3,}/g, "'''")
    .replaceAll(tags, "‹")
    .replaceAll(/\[(\/?)(INST|SYS)\]/gi, "($1$2)");
}
