import { deedOf, takesFilePath } from "../../clients/adapter/tools.ts";
import type { HookInput } from "../../contract/hooks.ts";
import type { OpenRequest, Question } from "../../contract/machine/requests.ts";
import { redactJson } from "../../redaction/redact-json.ts";
import { redact, stripPrivate } from "../../redaction/redact.ts";
import { asObject, listAt, type JsonObject } from "../../shared/json-fields.ts";
import { pluralize } from "../../shared/format.ts";
import { shorten } from "../../shared/shorten.ts";
import { revealed } from "../../shared/visible-text.ts";
import { questionsOf } from "./request-choices.ts";
import { fileFacts } from "./request-file.ts";

/** A person decides by it, so all that the calls would do is in it. */
export interface RequestText {
  /** Redacted, with signs for what is not seen. */
  readonly text: string;
  /** Why it does not show all that the calls would do; null: it does. */
  readonly lack: string | null;
}

/** A phone has to receive a longer one in one frame, and a person to read it. */
const maxChars = 100_000;

/** @param calls of one hook */
export function requestText(calls: readonly HookInput[]): RequestText {
  const textOf = (shown: Shown): string => calls.map((call) => describeCall(call, shown)).join("\n");
  const given = textOf(asGiven);
  if (given.length > maxChars) return tooLong(given);
  const open = textOf(withoutSecrets);
  const text = calls
    .map((call) => [revealed(describeCall(call, withoutSecrets)), ...marked(call)].join("\n"))
    .join("\n");
  if (text.length > maxChars) return tooLong(given);
  const isSaid = calls.every(({ tool_input: input }) => input !== undefined);
  return { text, lack: isSaid ? hiddenPart(given, open) : "the client does not say what the call would do" };
}

/** No text has such a line of its own. */
function marked(call: HookInput): string[] {
  return fileFacts(call).map((fact) => `⟨${revealed(redact(onOneLine(fact)).text)}⟩`);
}

const listedEnds = { head: { chars: 1_000, lines: 16 }, tail: { chars: 500, lines: 8 } };

/** The text for a list: of a long one both ends, and a mark for the rest, which is counted. */
export function foldedText(text: string): Pick<OpenRequest, "text" | "folded"> {
  const { head, left, tail } = shorten(text, listedEnds);
  if (left === null) return { text, folded: null };
  const mark = `⟨${pluralize(left.chars, "character")} in ${pluralize(left.lines, "line")} folded⟩`;
  return { text: `${head}\n${mark}\n${tail}`, folded: left };
}

/** The longest secret: the inner edge of a window may hold a part of one. */
const edgeChars = 33_000;
const windowChars = 40_000;
/** With a mark between them they are not folded again. */
const shownEnds = { head: { chars: 800, lines: 14 }, tail: { chars: 400, lines: 7 } };

function tooLong(given: string): RequestText {
  const open = stripPrivate(given).text;
  const first = revealed(redact(open.slice(0, windowChars)).text.slice(0, -edgeChars));
  const last = revealed(redact(open.slice(-windowChars)).text.slice(edgeChars));
  const all = pluralize(given.length, "character");
  const [{ head }, end] = [shorten(first, shownEnds), shorten(last, shownEnds)];
  const tail = end.left === null ? end.head : end.tail;
  const text = `${head}\n⟨${all} in all: its terminal has the rest⟩\n${tail}`;
  return { text, lack: `it has ${all}, too many to be shown here` };
}

/** Characters by which a shell takes a text for more than a word. */
const effective = /[\s;|&$`<>(){}]/g;

/** Redaction must not hide what runs: a secret is one word, and nothing private is run unseen. */
function hiddenPart(given: string, open: string): string | null {
  if (stripPrivate(given).count > 0) return "a part of it is marked as private";
  const [before, after] = [given, open].map((text) => text.match(effective)?.length ?? 0);
  return before === after ? null : "what was replaced in it as a secret may be more than one word";
}

interface Shown {
  readonly text: (text: string) => string;
  readonly json: (value: unknown) => unknown;
}

const asGiven: Shown = { text: (text) => text, json: (value) => value };
const withoutSecrets: Shown = { text: (text) => redact(text).text, json: (value) => redactJson(value).value };

/** Effect of a call, for a person who decides on it. */
function describeCall({ tool_name: tool = "", tool_input: given, cwd }: HookInput, { text, json }: Shown): string {
  const values = asObject(given);
  if (values === null) return typeof given === "string" ? text(given) : (JSON.stringify(json(given)) ?? tool);
  const { lines, shown } = ownLines(values, deedOf(tool) === "asks");
  const others = Object.entries(values).filter(([name, value]) => !shown.has(name) && !isBeside(tool, name, value));
  const rest = others.length === 0 ? "" : JSON.stringify(json(Object.fromEntries(others)));
  const folder = shown.has("command") && cwd !== undefined ? text(`in ${onOneLine(cwd)}`) : "";
  return [text(lines.join("\n")), rest, folder].filter((part) => part !== "").join("\n") || tool;
}

/** The model's own words on a command, and a default: they change nothing of what the call does. */
function isBeside(tool: string, name: string, value: unknown): boolean {
  if (name === "description") return deedOf(tool) === "runs";
  if (name === "planFilePath") return deedOf(tool) === "asks";
  return name === "replace_all" && value === false && takesFilePath(tool);
}

/** Arguments that have lines of their own, in this order, and the sign before each line. */
const signs: Readonly<Record<string, string>> = {
  command: "",
  url: "",
  prompt: "",
  plan: "",
  file_path: "",
  notebook_path: "",
  old_string: "- ",
  new_string: "+ ",
  content: "+ ",
  new_source: "+ ",
  diff: "",
};

interface OwnLines {
  readonly lines: readonly string[];
  /** Names of the arguments that the lines have whole. */
  readonly shown: ReadonlySet<string>;
}

/** @param isAsking other tools may have more in what they call questions */
function ownLines(values: JsonObject, isAsking: boolean): OwnLines {
  const names = Object.keys(signs).filter((name) => typeof values[name] === "string");
  const lines = names.flatMap((name) => signed(name, String(values[name])));
  const questions = (isAsking ? questionsOf(values) : []).flatMap(({ question, isMultiple, choices }) =>
    [isMultiple ? `${question} (several choices)` : question].concat(choices.map(lineOfChoice)),
  );
  if (questions.length > 0) return { lines: [...lines, ...questions], shown: new Set([...names, "questions"]) };
  const edits = listAt(values, "edits").map(asObject);
  const inner = edits.map((edit) => edit && ownLines(edit, false));
  // Otherwise they stay with the other arguments, as they are.
  const isWhole = inner.every((own, at) => own?.shown.size === Object.keys(edits[at] ?? {}).length);
  return isWhole && edits.length > 0
    ? { lines: [...lines, ...inner.flatMap((own) => own?.lines ?? [])], shown: new Set([...names, "edits"]) }
    : { lines, shown: new Set(names) };
}

function lineOfChoice({ label, description }: Question["choices"][number], at: number): string {
  return `${at + 1}. ${label}${description === null ? "" : `: ${description}`}`;
}

/** For a path, which may have lines of its own. */
function onOneLine(path: string): string {
  return path.replaceAll("\n", "\\n");
}

function signed(name: string, text: string): string[] {
  if (name.endsWith("_path")) return [onOneLine(text)];
  return text === "" ? [] : text.split("\n").map((line) => `${signs[name] ?? ""}${line}`);
}
