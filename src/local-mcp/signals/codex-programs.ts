import { parseObject, textAt } from "../../shared/json-fields.ts";

/** Pure. Programs of Codex's tool `exec`, whose functions are the tools. */

export interface ProgramCall {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Programs are longer than what is kept of a call. */
const maxProgramChars = 4_000;
const maxScannedChars = 100_000;

const knownTools: readonly (readonly [string, (program: string) => ProgramCall])[] = [
  ["tools.exec_command(", shellCall],
  ["tools.apply_patch(", (program) => ({ name: "apply_patch", input: { path: filesIn(program).join(", ") } })],
  ["tools.update_plan(", (program) => ({ name: "TodoWrite", input: { todos: todosIn(program) } })],
];

/** [TR213] A program as the calls of its tools: commands, files of a patch, steps of a plan. */
export function callsOfProgram(program: string): readonly ProgramCall[] {
  const known = knownTools.filter(([call]) => program.includes(call)).map(([, read]) => read(program));
  return known.length > 0 ? known : [otherCall(program)];
}

function otherCall(program: string): ProgramCall {
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

const planStep = /\bstep["']?:\s{0,20}"((?:[^"\\]|\\.){1,1000})",\s{0,20}["']?status["']?:\s{0,20}["'](\w{1,20})["']/g;

function todosIn(program: string): { readonly content: string; readonly status: string }[] {
  const steps = [...program.slice(0, maxScannedChars).matchAll(planStep)];
  return steps.map(([, content = "", status = ""]) => ({ content: unescaped(content), status }));
}

const patchedFile = /\*\*\* (?:Add|Update|Delete) File: ([^\n\\"'`]{1,1000})/g;

function filesIn(program: string): string[] {
  return [...program.slice(0, maxScannedChars).matchAll(patchedFile)].map(([, path = ""]) => path);
}
