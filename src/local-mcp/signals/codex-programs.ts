import { parseObject, textAt } from "../../shared/json-fields.ts";

/** Pure. Programs of Codex's tool `exec`, whose functions are the tools. */

export interface ProgramCall {
  readonly name: string;
  readonly input: Readonly<Record<string, string>>;
}

/** Programs are longer than what is kept of a call. */
const maxProgramChars = 4_000;
const maxPatchChars = 100_000;

/** [TR213] A program as the call of its tool: commands, the files of a patch, or arguments. */
export function callOfProgram(program: string): ProgramCall {
  if (program.includes("tools.exec_command(")) return shellCall(program);
  if (program.includes("tools.apply_patch("))
    return { name: "apply_patch", input: { path: filesIn(program).join(", ") } };
  const start = program.slice(0, maxProgramChars);
  const [first, ...others] = [...start.matchAll(toolCall)].map(([, name = "", input = ""]) => ({ name, input }));
  const isOne = first !== undefined && others.every(({ name }) => name === first.name);
  return isOne
    ? { name: first.name, input: { description: first.input } }
    : { name: "exec", input: { command: program } };
}

const toolCall = /\btools\.(\w{1,200})\(([^\n;]{0,1000})/g;
const commandField = /\bcmd["']?:\s{0,20}(?:"((?:[^"\\]|\\.){1,1000})|`((?:[^`\\]|\\.){1,1000}))/g;

/** Commands that a program names in full; else they are in its variables. */
function shellCall(program: string): ProgramCall {
  const fields = program.slice(0, maxProgramChars).matchAll(commandField);
  const commands = [...fields].map(([, quoted, template = ""]) =>
    quoted === undefined ? template : unescaped(quoted),
  );
  return { name: "Bash", input: { command: commands.length > 0 ? commands.join("\n") : program } };
}

/** A text that is cut within an escaped character stays as it is. */
function unescaped(quoted: string): string {
  return textAt(parseObject(`{"text":"${quoted}"}`), "text") ?? quoted;
}

const patchedFile = /\*\*\* (?:Add|Update|Delete) File: ([^\n\\"'`]{1,1000})/g;

function filesIn(program: string): string[] {
  return [...program.slice(0, maxPatchChars).matchAll(patchedFile)].map(([, path = ""]) => path);
}
