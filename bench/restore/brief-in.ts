import { parseObject } from "../../src/shared/json-fields.ts";
import type { ScriptedModel } from "../../test/harness/claude/scripted-model.ts";

const hookContext = /(?:SessionStart|UserPromptSubmit)(?::\w+)? hook additional context: /;
/** What the client itself writes after the context of the hooks. */
const clientText =
  /\n+# Environment\n|\n<\/?system-reminder>|\n+(?:\w+)(?::\w+)? hook (?:additional context|success): /;

/** What hooks of SHIM put into the context of the chat's first request; "" where there was nothing. */
export function briefIn(model: ScriptedModel): string {
  const request = model.requests.find(({ kind }) => kind === "loop");
  const contexts = (request?.messages ?? []).flatMap(({ text }) => text.split(hookContext).slice(1));
  const briefs = contexts.map((text) => text.split(clientText)[0] ?? "").filter((text) => /\bSHIM\b/.test(text));
  const brief = briefs.join("\n").trim();
  if (brief.includes("You have been invoked in the following environment")) throw new Error("the brief has no end");
  return brief;
}

/** The session of a hint: one line that names the tool to ask. */
export function sessionInHint(context: string): string | null {
  if (context.includes("\n")) return null;
  return /shim_check_recovery \(of "(?<id>[^"]+)"/.exec(context)?.groups?.["id"] ?? null;
}

/** The last result of a tool in the chat's last request; of an answer in JSON its longest text. */
export function toolResultIn(model: ScriptedModel): string {
  const request = model.requests.findLast(({ kind }) => kind === "loop");
  const text = request?.messages.findLast(({ role }) => role === "user")?.text ?? "";
  const texts = [text, ...text.split("\n")].flatMap((line) => textsIn(parseObject(line)));
  return texts.toSorted((a, b) => b.length - a.length)[0] ?? text;
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
