import { readFileSync } from "node:fs";
import { parse, printParseErrorCode, type ParseError } from "jsonc-parser";
import * as z from "zod/mini";
import { Config } from "../contract/config.ts";
import { err, ok, type Result } from "../shared/result.ts";

/** Settings as they stand, or why they cannot be used. A missing file means: all defaults. */
export function readConfig(path: string): Result<Config, string> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return ok(defaults());
  }
  return parseConfig(text, path);
}

export function parseConfig(text: string, path: string): Result<Config, string> {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first) return err(`${path}: not valid JSON at character ${first.offset}: ${printParseErrorCode(first.error)}`);
  const parsed = Config.safeParse(value ?? {});
  return parsed.success ? ok(parsed.data) : err(`${path}: ${z.prettifyError(parsed.error)}`);
}

export function defaults(): Config {
  return Config.parse({});
}
