import { asObject, numberAt, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";

/** Pure. Failures of calls, by the output of a tool of Codex. */

/** Lines that the client puts before a command's output. */
const headChars = 300;
const exitCode = /^(?:Process exited with code|Exit code:?) (\d+)$/m;
const failure = /^(?:Script failed|aborted|patch rejected|apply_patch verification failed|execution error)\b/;
const programHead = /^Script \w{1,20}\b[^\n]{0,200}\nWall time [^\n]{0,200}\nOutput:\n*/;

/**
 * @param tool whose call it is; undefined: that stands in an earlier part
 * @param parts of the output: the client's own, then one for each text that a program printed
 * @param marks {@link exitMarks} of the program
 */
export function errorIn(tool: string | undefined, parts: readonly string[], marks: readonly string[]): string | null {
  const output = parts.join("\n");
  const isOfProgram = programHead.test(output);
  // The exit code of a command in the same program says nothing of a plan or a patch.
  if (tool === "TodoWrite" || (isOfProgram && tool !== undefined && tool !== "Bash")) return failureIn(output);
  return (isOfProgram ? failedResult(parts, marks) : null) ?? failedCommand(output) ?? failureIn(output);
}

function failureIn(output: string): string | null {
  return failure.test(output.slice(0, headChars)) ? output : null;
}

function failedCommand(output: string): string | null {
  const head = output.slice(0, headChars);
  const code = exitCode.exec(head)?.[1] ?? (head.startsWith('{"output":') ? codeInJson(output) : undefined);
  return code === undefined || code === "0" ? null : `Exit code ${code} ${output}`;
}

/** `{"output": "...", "metadata": {"exit_code": 1}}` */
function codeInJson(output: string): string | undefined {
  return /"exit_code":\s*(\d+)/.exec(output.slice(-headChars))?.[1];
}

const markOfExit = /(?:`|\\n|\n)([^`\n\\${}]{2,40})\$\{\w{1,40}\.exit_code\b/g;

/** Texts after which a program prints the exit code of a command, each at the start of a line. */
export function exitMarks(program: string): readonly string[] {
  return [...program.matchAll(markOfExit)].map(([, mark = ""]) => mark);
}

/** [TR225] A program prints what its commands returned, or their exit codes after a mark. */
function failedResult(parts: readonly string[], marks: readonly string[]): string | null {
  const printed = parts.map((part, index) => (index === 0 ? part.replace(programHead, "") : part));
  const failed = printed.flatMap(resultsIn).find(({ code }) => code !== 0);
  if (failed) return `Exit code ${failed.code} ${failed.output}`;
  const code = codesAfter(marks, printed).find((one) => one !== "0");
  return code === undefined ? null : `Exit code ${code} ${printed.join("\n").trim()}`;
}

interface CommandResult {
  readonly code: number;
  readonly output: string;
}

/** The client cuts a long text, which is JSON no more. */
const cutResult = /^\{"chunk_id":"\w{0,40}","wall_time_seconds":[\d.]{1,20},"exit_code":(\d{1,10}),/m;

function resultsIn(text: string): CommandResult[] {
  const value = /^\s*[[{]/.test(text) ? parseObject(`{"printed":${text}}`)?.["printed"] : undefined;
  if (value === undefined) {
    const code = cutResult.exec(text.slice(0, headChars))?.[1];
    return code === undefined ? [] : [{ code: Number(code), output: text }];
  }
  return [value, ...Object.values(Object(value) as JsonObject)].flatMap((one) => resultOf(asObject(one)));
}

function resultOf(value: JsonObject | null): CommandResult[] {
  const isOfCommand = textAt(value, "output") !== null || textAt(value, "chunk_id") !== null;
  const code = numberAt(value, "exit_code") ?? numberAt(objectAt(value, "metadata"), "exit_code");
  return isOfCommand && code !== null ? [{ code, output: textAt(value, "output") ?? "" }] : [];
}

function codesAfter(marks: readonly string[], printed: readonly string[]): string[] {
  const lines = marks.length === 0 ? [] : printed.flatMap((text) => text.split("\n"));
  const values = lines.flatMap((line) =>
    marks.filter((mark) => line.startsWith(mark)).map((mark) => line.slice(mark.length)),
  );
  return values.flatMap((value) => /^\d{1,10}\b/.exec(value)?.[0] ?? []);
}
