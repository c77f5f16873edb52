import { deedOf, filePathOf } from "../../../clients/adapter/tools.ts";
import { asObject, listAt, parseJson, textAt } from "../../../shared/json-fields.ts";
import { declarationsIn } from "./names.ts";

/** Pure: what a call wrote into files, from its own input. */

export interface FileEdit {
  /** Named so by the call. */
  readonly path: string;
  /** Text that the edit replaced; "" where it is not known, or there was none. */
  readonly before: string;
  readonly after: string;
}

const maxPatchChars = 200_000;

/** @param name of the tool, in Claude Code's words */
export function editsOf(name: string, input: unknown): FileEdit[] {
  const path = filePathOf(name, input);
  const fields = asObject(input);
  const own = path === null || deedOf(name) === "reads" ? [] : textsOfEdit(fields);
  if (path !== null && own.length > 0) return own.map((texts) => Object.assign({ path }, texts));
  return Object.values(fields ?? { input }).flatMap((value) => (typeof value === "string" ? patchesIn(value) : []));
}

function textsOfEdit(input: ReturnType<typeof asObject>): { readonly before: string; readonly after: string }[] {
  const parts = [input, ...listAt(input, "edits").map(asObject)];
  return parts.flatMap((part) => {
    const [before, after] = [textOfAny(part, oldFields), textOfAny(part, newFields)];
    return before === null && after === null ? [] : [{ before: before ?? "", after: after ?? "" }];
  });
}

const oldFields = ["old_string", "oldString", "old_str"];
const newFields = ["new_string", "newString", "new_str", "content", "file_text", "new_source"];

function textOfAny(from: ReturnType<typeof asObject>, names: readonly string[]): string | null {
  return names.map((name) => textAt(from, name)).find((text) => text !== null) ?? null;
}

const begin = "*** Begin Patch";
const end = "*** End Patch";

/** Patches of Codex' form; in a program they stand in a string, with escaped line ends. */
function patchesIn(text: string): FileEdit[] {
  const found: FileEdit[] = [];
  let at = text.indexOf(begin);
  while (at >= 0 && at < maxPatchChars) {
    const stop = text.indexOf(end, at);
    const raw = text.slice(at, stop < 0 ? undefined : stop);
    const patch = raw.slice(0, 200).includes("\n") ? raw : unescaped(raw);
    found.push(...filesIn(patch));
    at = text.indexOf(begin, at + raw.length + 1);
  }
  return found;
}

function unescaped(text: string): string {
  const whole = parseJson(`"${text.replaceAll(/(?<!\\)"/g, '\\"')}"`);
  return typeof whole === "string" ? whole : text.replaceAll(String.raw`\n`, "\n");
}

/** Lines of a patch without a sign are of both texts. */
function filesIn(patch: string): FileEdit[] {
  const files: { path: string; before: string[]; after: string[] }[] = [];
  for (const line of patch.split("\n")) {
    const [, path] = /^\*\*\* (?:Add|Update|Delete) File: (.+)$/.exec(line) ?? [];
    if (path !== undefined) files.push({ path: path.trim(), before: [], after: [] });
    const file = files.at(-1);
    if (!file || line.startsWith("***")) continue;
    const text = line.startsWith("@@") ? line.slice(2).trim() : line.slice(1);
    if (!line.startsWith("+")) file.before.push(text);
    if (!line.startsWith("-")) file.after.push(text);
  }
  return files.map(({ path, before, after }) => ({ path, before: before.join("\n"), after: after.join("\n") }));
}

/** Innermost declarations in which changed lines of an edit stand: those are indented deeper. */
export function enclosing({ path, before, after }: FileEdit, declared: ReadonlySet<string>): Set<string> {
  const known = new Set(before.split("\n"));
  const found = new Set<string>();
  const blocks: { readonly name: string; readonly indent: number }[] = [];
  for (const line of after.split("\n")) {
    if (line.trim() === "") continue;
    const indent = line.length - line.trimStart().length;
    while (indent <= (blocks.at(-1)?.indent ?? -1)) blocks.pop();
    const name = [...declarationsIn(line, path)].find((one) => declared.has(one));
    if (name !== undefined) blocks.push({ name, indent });
    const inner = blocks.at(-1);
    if (inner && !known.has(line)) found.add(inner.name);
  }
  return found;
}

/** Texts of a call's input, however deep they stand. */
export function valuesIn(input: unknown): string[] {
  if (typeof input === "string") return [input];
  return input !== null && typeof input === "object" ? Object.values(input).flatMap(valuesIn) : [];
}
