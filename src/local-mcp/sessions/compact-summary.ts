/** Pure. The summary of a compaction, and the client's texts around it. */

const introduction = "This session is being continued from a previous conversation";
const analysisHeading = "Analysis:\n";
const summaryHeading = "Summary:\n";

/** Lines at the end, to the model. */
const instructions = [
  "If you need specific details from before compaction",
  "Recent messages are preserved",
  "Please continue the conversation from where we left",
  "Continue the conversation from where it left off",
];

/** [TR210] The summary without the reasoning before it and the instructions after it. */
export function summaryIn(text: string): string {
  const marked = withoutAnalysis(text).replaceAll(/<\/?summary>/g, "");
  return withoutInstructions(afterHeading(withoutIntroduction(marked.trim())));
}

/** In tags as the model writes it, which the client turns into headings. */
function withoutAnalysis(text: string): string {
  const [from, to] = [text.indexOf("<analysis>"), text.indexOf("</analysis>")];
  return from < 0 || to < from ? text : text.slice(0, from) + text.slice(to + "</analysis>".length);
}

function withoutIntroduction(text: string): string {
  return text.startsWith(introduction) && text.includes("\n") ? text.slice(text.indexOf("\n")).trimStart() : text;
}

function afterHeading(text: string): string {
  if (text.startsWith(summaryHeading)) return text.slice(summaryHeading.length);
  const at = text.startsWith(analysisHeading) ? text.indexOf(`\n\n${summaryHeading}`) : -1;
  return at < 0 ? text : text.slice(at + 2 + summaryHeading.length);
}

function withoutInstructions(text: string): string {
  let rest = text.trim();
  for (;;) {
    const line = rest.slice(rest.lastIndexOf("\n") + 1);
    if (!instructions.some((begin) => line.startsWith(begin))) return rest;
    rest = rest.slice(0, rest.length - line.length).trimEnd();
  }
}
