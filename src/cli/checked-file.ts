import type * as z from "zod";
import { unfit } from "../coordination/json-shape.ts";
import { problemsOf } from "../coordination/problems.ts";
import { ok, type Result } from "../shared/result.ts";
import { wrongUsage, type Refused } from "./answer.ts";
import type { Cli } from "./cli.ts";
import { readPlan } from "./plan-file.ts";
import { textOfFile } from "./task-input.ts";

const mostBytes = 1_048_576;

/** What a file of YAML or JSON says; what is wrong in it is told, with its line. @param what it is to hold, as people know it */
export function readChecked<Schema extends z.ZodType>(
  cli: Cli,
  file: string,
  what: string,
  schema: Schema,
): Result<z.infer<Schema>, Refused["error"]> {
  const text = textOfFile(cli, file, what, mostBytes);
  if (!text.ok) return text;
  const read = readPlan(text.value, mostBytes);
  if (!read.ok) return wrongUsage(`${file}, line ${read.error.line}: ${read.error.message}.`);
  const misshapen = unfit(read.value.value);
  if (misshapen) return wrongUsage(`${file}: ${misshapen.message}.`);
  const parsed = schema.safeParse(read.value.value);
  if (parsed.success) return ok(parsed.data);
  const told = parsed.error.issues.map((issue) => {
    const place = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
    return `line ${read.value.lineOf(place)}: ${problemsOf({ issues: [issue] })}`;
  });
  return wrongUsage(`${file}: ${told.join("; ")}.`);
}
