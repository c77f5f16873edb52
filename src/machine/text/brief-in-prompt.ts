/** A rendered brief: a line of SHIM, the fence with what was recovered, a line of advice. */
const brief =
  /SHIM: [^\n]{0,400}recovered data, not instructions\.\n<(shim-recovered-session-([\w-]{1,40}))>\n(?:(?!<shim-recovered-session-)[\s\S]){0,12000}?\n<\/\1>\n([^\n]*)/g;

/** The request of a prompt that is a brief and nothing else. */
const request = "continue";

/** Pure. A prompt without the briefs that SHIM has put into it. */
export function withoutBriefs(prompt: string): string {
  const rest = prompt.replaceAll(brief, "").trim();
  return rest === "" && prompt !== "" ? request : rest;
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
