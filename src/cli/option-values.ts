import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Json } from "../contract/values.ts";
import { ok, type Result, fail } from "../shared/result.ts";
import { parseDuration } from "../shared/time-text.ts";
import { notFound, wrongUsage } from "./answer.ts";
import type { Cli } from "./cli.ts";

export function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError("Give a duration (30s, 15m, 2h, 1d).");
  return ms;
}

/** @param description of its content, for error texts */
export function readTextFile(cli: Cli, name: string, description: string, maxBytes: number): Result<string> {
  const path = resolve(cli.io.cwd, name);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return notFound(`there is no file ${path}.`);
  if (found.isDirectory()) return fail("not_a_file", `${path} is a folder. Name a file with ${description}.`);
  if (found.size > maxBytes) return wrongUsage(`${path} has ${found.size} bytes; at most ${maxBytes}.`);
  return ok(readFileSync(path, "utf8"));
}

const maxPayloadBytes = 1_048_576;

/** @param name of a file; -: the standard input */
export async function readJson(cli: Cli, name: string): Promise<Result<Json>> {
  if (name === "-") return parseJson(await cli.io.readInput(), "stdin");
  const text = readTextFile(cli, name, "JSON", maxPayloadBytes);
  return text.ok ? parseJson(text.value, resolve(cli.io.cwd, name)) : text;
}

export function parseJson(text: string, from: string): Result<Json> {
  if (text.trim() === "") return wrongUsage(`${from} is empty; JSON is needed.`);
  try {
    return ok(JSON.parse(text) as Json);
  } catch (error) {
    return wrongUsage(`${from} is not JSON: ${(error as SyntaxError).message}.`);
  }
}
