import { patchedFilesIn } from "../../../clients/adapter/patch.ts";
import { deedOf, filePathOf, textsOfEdit } from "../../../clients/adapter/tools.ts";
import { asObject } from "../../../shared/json-fields.ts";
import { declarationsIn } from "./names.ts";

/** Pure: what a call wrote into files, from its own input. */

export interface FileEdit {
  /** Named so by the call. */
  readonly path: string;
  /** Text that the edit replaced; "" where it is not known, or there was none. */
  readonly before: string;
  readonly after: string;
}

/** @param name of the tool, in Claude Code's words */
export function editsOf(name: string, input: unknown): FileEdit[] {
  const path = filePathOf(name, input);
  const fields = asObject(input);
  const own = path === null || deedOf(name) === "reads" ? [] : textsOfEdit(fields);
  if (path !== null && own.length > 0) return own.map((texts) => Object.assign({ path }, texts));
  return Object.values(fields ?? { input }).flatMap((value) =>
    typeof value === "string" ? patchedFilesIn(value) : [],
  );
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
