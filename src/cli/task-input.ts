import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Json } from "../contract/values.ts";
import { ok, type Result } from "../shared/result.ts";
import { failed, notFound, wrongUsage, type Refused } from "./answer.ts";
import type { Cli } from "./cli.ts";

/** Numbers of tasks stand above epoch * 2^28: they have up to 16 digits. */
function numberIn(text: string): number | null {
  const value = Number(text);
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(value) ? value : null;
}

/** An argument that names a task. */
export function taskNumber(text: string): Result<number, Refused["error"]> {
  const value = numberIn(text);
  return value === null
    ? wrongUsage(`"${text.slice(0, 60)}" is no number of a task; \`shim task list\` shows them.`)
    : ok(value);
}

/** Readers of option values, those of lists each for one of several. */

export function oneTask(text: string): number {
  const value = numberIn(text);
  if (value === null) throw new InvalidArgumentError("It must be the number of a task; names are for --graph.");
  return value;
}

export function taskNumbers(text: string, before: readonly number[] = []): number[] {
  return [...before, oneTask(text)];
}

/** @param most at most 9 */
export function digit(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be ${least} to ${most}.`);
  };
}

export function texts(text: string, before: readonly string[] = []): string[] {
  if (text === "-") throw new InvalidArgumentError("Write - right after the type.");
  return [...before, text];
}

/** What a file holds, taken from the folder where the command stands. @param what it is to hold, as people know it */
export function textOfFile(cli: Cli, name: string, what: string, mostBytes: number): Result<string, Refused["error"]> {
  const path = resolve(cli.io.cwd, name);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return notFound(`there is no file ${path}.`);
  if (found.isDirectory()) return failed("not_a_file", `${path} is a folder. Name a file with ${what}.`);
  if (found.size > mostBytes) return wrongUsage(`${path} has ${found.size} bytes; at most ${mostBytes}.`);
  return ok(readFileSync(path, "utf8"));
}

/** No payload is larger, however it is written. */
const mostPayloadBytes = 1_048_576;

export function jsonOfFile(cli: Cli, name: string): Result<Json, Refused["error"]> {
  const text = textOfFile(cli, name, "JSON", mostPayloadBytes);
  return text.ok ? jsonIn(text.value, resolve(cli.io.cwd, name)) : text;
}

export async function jsonOfInput(cli: Cli): Promise<Result<Json, Refused["error"]>> {
  return jsonIn(await cli.io.readInput(), "stdin");
}

/** @param from as people know it */
export function jsonIn(text: string, from: string): Result<Json, Refused["error"]> {
  if (text.trim() === "") return wrongUsage(`${from} is empty; JSON is needed.`);
  try {
    return ok(JSON.parse(text) as Json);
  } catch (error) {
    return wrongUsage(`${from} is no JSON: ${(error as SyntaxError).message}.`);
  }
}
