import { visible } from "./visible-text.ts";

/** Text of other chats that is put before a model: nothing in it may act on the screen, end a fence or pass for another speaker. Pure. */

const tags =
  /<(?=\s*\/)|<(?=[!?|])|<(?=\s*(?:system|user|assistant|human|developer|tool|function|invoke|parameter|thinking|instructions?|context|document|command|local-command|task-notification|important|admin|antml|s>)\b)|<(?=[a-z]\w*[-_:])/giu;
const roles = /^([ \t>*#-]*)(human|assistant|system|user|developer|tool)([ \t]*)[:：]/gimu;

const speakers = /(?<=\s)(human|assistant)(\s*)[:：](?=\s|$)/gi;

/** The text without control, bidirectional and invisible characters, with fences, tags and role markers made plain. Its lines stay. */
export function neutralize(text: string): string {
  return removeMarks(text).replaceAll(roles, "$1$2$3 -").replaceAll(speakers, "$1$2 -");
}

/** As `harmless`, for lines that SHIM has made of harmless parts: their own first words stay. */
export function removeMarks(text: string): string {
  return visible(text.replaceAll(/\r\n?|[\u0085\u2028\u2029]/g, "\n"))
    .replaceAll(/shim-(?:recovered-session|team-news)/gi, "[fence]")
    .replaceAll(/`{3,}|~{3,}/g, "'''")
    .replaceAll(tags, "‹")
    .replaceAll(/\[(\/?)(INST|SYS)\]/gi, "($1$2)");
}
