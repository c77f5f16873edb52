// oxlint-disable no-control-regex, no-misleading-character-class -- these are the characters that must not stay
const escapes =
  /\u001B(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001B]*(?:\u0007|\u001B\\)?|[ -/]*[0-Z\\-~])|\u009B[0-?]*[ -/]*[@-~]/g;
/** Bidirectional marks, zero-width, tags, supplementary variation selectors, soft hyphens. */
const unseen =
  /[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB]|[\u{E0000}-\u{E0FFF}]/gu;
const unseenOrControl = new RegExp(`${unseen.source}|[\\u007F-\\u009F]`, "gu");
// oxlint-enable no-control-regex, no-misleading-character-class
const controls = /[^\P{Cc}\n\t]/gu;

/** Pure. Lines stay. */
export function visible(text: string): string {
  return text.replaceAll(escapes, "").replaceAll(unseen, "").replaceAll(controls, " ");
}

/** Escapes the same characters, so that the JSON value stays. */
export function visibleJson(json: string): string {
  return json.replaceAll(unseenOrControl, (found) =>
    Array.from({ length: found.length }, (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`).join(
      "",
    ),
  );
}
