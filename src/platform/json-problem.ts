import { printParseErrorCode, type ParseError } from "jsonc-parser";

/** The problem of a JSON text in words, with line and column. */
export function formatJsonProblem(text: string, problem: ParseError): string {
  return `${formatErrorCode(problem)} at ${formatPosition(text, problem.offset)}`;
}

function formatErrorCode({ error }: ParseError): string {
  const words = printParseErrorCode(error).replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`);
  return words.toLowerCase().replace("close ", "closing ");
}

export function formatPosition(text: string, offset: number): string {
  const lines = text.slice(0, offset).split("\n");
  return `line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1}`;
}
