import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { init, lines, result } from "../../test/harness/claude/fake-claude.ts";
import type { Answer } from "./answers.ts";

/** Each start costs this much, which the stand-in reports as Claude Code does. */
export const costMicros = 13_200;

export interface Script {
  readonly answers: readonly Answer[];
  /** Commit whose lines the findings name. */
  readonly base: string;
}

/**
 * Stands in for Claude Code: it finds the seeded defects that its task names, and writes the
 * prepared edits into the worktree. What nobody has prepared it leaves as it is.
 */
const program = (node: string): string => `#!${node}
const fs = require("node:fs");
const { execFileSync } = require("node:child_process");
if (process.argv[2] === "--version") { console.log("2.1.328 (Claude Code)"); process.exit(); }
const { answers, base } = JSON.parse(fs.readFileSync(__dirname + "/script.json", "utf8"));
const words = (text) => new Set(text.match(/\\w+/g));
const namesOf = ({ message, file, range }) => {
  const lines = execFileSync("git", ["show", base + ":" + file], { encoding: "utf8" }).split("\\n");
  const own = range ? lines.slice(range.line - 1, range.endLine ?? range.line).join("\\n") : "";
  return words(message + "\\n" + own);
};
require("node:readline").createInterface({ input: process.stdin }).once("line", (line) => {
  const { content } = JSON.parse(line).message;
  const [, , data] = /<(shim-task-[\\w-]+)>\\n([^]*?)\\n<\\/\\1>/.exec(content);
  const { task, payload } = JSON.parse(data);
  const named = (payload.findings ?? []).map(namesOf);
  const chosen = answers.filter(({ symbol }) => named.some((names) => names.has(symbol)));
  for (const { file, from, to } of chosen.flatMap(({ edits }) => edits))
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(from, () => to));
  const symbols = chosen.map(({ symbol }) => symbol);
  fs.appendFileSync(__dirname + "/starts.jsonl", JSON.stringify({ task, symbols }) + "\\n");
  process.stdout.write(${JSON.stringify(lines(init(), result()))});
});
`;

/** @returns the path of the program */
export function writeScriptedClaude(folder: string, { answers, base }: Script): string {
  const path = join(folder, "claude");
  writeFileSync(path, program(process.execPath), { mode: 0o755 });
  const prepared = answers.map(({ symbol, edits }) => ({ symbol, edits }));
  writeFileSync(join(folder, "script.json"), JSON.stringify({ answers: prepared, base }));
  return path;
}

const Start = z.object({ task: z.int(), symbols: z.array(z.string()) });

/** Each start of the program, with the defects that it treated. */
export function readStarts(folder: string): z.infer<typeof Start>[] {
  const path = join(folder, "starts.jsonl");
  const rows = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  return rows.map((row) => Start.parse(JSON.parse(row)));
}
