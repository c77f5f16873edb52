/** Text of other chats that is put before a model: nothing in it may act on the screen, end a fence or pass for another speaker. Pure. */

// oxlint-disable no-control-regex, no-misleading-character-class -- these are the characters that must not stay
const escapes =
  /\u001B(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001B]*(?:\u0007|\u001B\\)?|[@-Z\\-_])|\u009B[0-?]*[ -/]*[@-~]/g;
/** Bidirectional marks, zero-width characters, tags, variation selectors of the supplement, soft hyphens. */
const unseen =
  /[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB]|[\u{E0000}-\u{E0FFF}]/gu;
// oxlint-enable no-control-regex, no-misleading-character-class
const controls = /[^\P{Cc}\n\t]/gu;
const tags =
  /<(?=\s*\/)|<(?=[!?|])|<(?=\s*(?:system|user|assistant|human|developer|tool|function|invoke|parameter|thinking|instructions?|context|document|command|local-command|task-notification|important|admin|antml|s>)\b)|<(?=[a-z]\w*[-_:])/giu;
const roles = /^([ \t>*#-]*)(human|assistant|system|user|developer|tool)([ \t]*)[:：]/gimu;

const speakers = /(?<=\s)(human|assistant)(\s*)[:：](?=\s|$)/gi;

/** The text without control, bidirectional and invisible characters, with fences, tags and role markers made plain. Its lines stay. */
export function harmless(text: string): string {
  return withoutMarks(text).replaceAll(roles, "$1$2$3 -").replaceAll(speakers, "$1$2 -");
}

/** As `harmless`, for lines that SHIM has made of harmless parts: their own first words stay. */
export function withoutMarks(text: string): string {
  return text
    .replaceAll(escapes, "")
    .replaceAll(/\r\n?|[\u0085\u2028\u2029]/g, "\n")
    .replaceAll(unseen, "")
    .replaceAll(controls, " ")
    .replaceAll(/shim-(?:recovered-session|team-news)/gi, "[fence]")
    .replaceAll(/`{3,}|~{3,}/g, "'''")
    .replaceAll(tags, "‹")
    .replaceAll(/\[(\/?)(INST|SYS)\]/gi, "($1$2)");
}
