import { mkdtempSync, readFileSync, rmSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail, type Failure, err, ok, type Result } from "../../shared/result.ts";
import { objectAt, parseObject, textAt } from "../../shared/json-fields.ts";
import { runTool, type ToolStart } from "./run-tool.ts";

/** Command that has to succeed. */
export type Tests = readonly [program: string, ...args: string[]];

/** The script that `npm init` writes is no test. @returns null: package.json names none */
export function testScript(folder: string): Tests | null {
  const path = join(folder, "package.json");
  const manifest = existsSync(path) ? parseObject(readFileSync(path, "utf8")) : null;
  const script = textAt(objectAt(manifest, "scripts"), "test");
  return script === null || script.includes("no test specified") ? null : ["npm", "test"];
}

/** Files that say how a project is tested, where package.json does not. */
const testedBy: readonly (readonly [file: string, content: RegExp, tests: Tests])[] = [
  ["Cargo.toml", /^\[/m, ["cargo", "test"]],
  ["go.mod", /^module\s/m, ["go", "test", "./..."]],
  ["deno.json", /[{]/, ["deno", "test"]],
  ["pytest.ini", /^\[pytest\]/m, ["pytest"]],
  ["pyproject.toml", /pytest/, ["pytest"]],
  ["tox.ini", /^\[testenv/m, ["tox"]],
  ["mix.exs", /Mix\.Project/, ["mix", "test"]],
  ["pom.xml", /<project/, ["mvn", "--batch-mode", "test"]],
  ["gradlew", /./, ["./gradlew", "test"]],
  ["Makefile", /^test\s*:/m, ["make", "test"]],
];

/** @returns null: the folder names none */
export function findTests(folder: string): Tests | null {
  const script = testScript(folder);
  if (script) return script;
  const named = testedBy.find(([file, content]) => {
    const path = join(folder, file);
    return existsSync(path) && content.test(readFileSync(path, "utf8"));
  });
  return named?.[2] ?? null;
}

/** No shell parses the command. */
export function parseTests(text: string): Result<Tests, Failure> {
  const [program, ...args] = text.trim().split(/\s+/);
  if (program === undefined || program === "" || /["'`$&|;<>\\]/.test(text))
    return fail(
      "bad_input",
      "--tests takes a program and its arguments, which no shell parses; for more, name a script.",
    );
  return ok([program, ...args]);
}

const maxOutputChars = 2_000;

/** Tests are code of the project. The error says how they failed. */
export async function runTests(
  [program, ...args]: Tests,
  run: Pick<ToolStart, "folder" | "env" | "timeMs" | "signal">,
): Promise<Result<null, string>> {
  const scratch = mkdtempSync(join(tmpdir(), "shim-tests-"));
  const name = [program, ...args].join(" ");
  try {
    const tool = { path: program, isScript: false, version: null };
    const output = await runTool({ ...run, tool, command: { args }, scratch, hasLoopback: true });
    if (!output.ok) return err(`${name} ${output.error}`);
    const { code, stdout, stderr } = output.value;
    const text = `${stdout}${stderr}`.trim().slice(-maxOutputChars);
    return code === 0 ? ok(null) : err(`${name} ended with exit code ${code}:\n${text}\n`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
