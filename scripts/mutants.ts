/** `npm run test:mutants [-- <numbers>]`: plants each defect in a copy of the working tree, and says which test catches it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mutant } from "../test/mutants/defect.ts";
import { mutants } from "../test/mutants/mutants.ts";

const root = join(import.meta.dirname, "..");
const laws = new Map(readLaws().map((law) => [law.number, law]));

/** Tests of one run of Vitest. */
interface Tests {
  readonly config: string;
  /** Files or folders. */
  readonly paths: readonly string[];
  /** Of titles; null: all that run by day. */
  readonly titles: readonly string[] | null;
}

interface Outcome {
  readonly failed: readonly string[];
  readonly passed: number;
}

function configOf(path: string): string {
  return path.startsWith("test/workers/") ? "vitest.workers.config.ts" : "vitest.config.ts";
}

/** Cheap ones first, in three runs at most. */
function proofsOf(mutant: Mutant): Tests[] {
  const proofs = laws.get(mutant.law)?.proofs ?? [];
  const costly = /^test\/(?:sim|e2e)\//;
  const groups = Map.groupBy(proofs, (proof) => {
    const { file } = proof;
    return costly.test(file) ? 2 : Number(configOf(file) !== "vitest.config.ts");
  });
  return [...groups]
    .toSorted(([a], [b]) => a - b)
    .map(([, group]) => ({
      config: configOf((group[0] as Proof).file),
      paths: [...new Set(group.map(({ file }) => file))],
      titles: group.map(({ title }) => title),
    }));
}

/** What Vitest runs for the folder of the file. */
function projectOf({ file }: Mutant): Tests {
  const [, folder = ""] = file.split("/");
  const inWorkerd = folder === "durable" || folder === "worker";
  const paths = inWorkerd
    ? ["test/workers"]
    : [`test/node/${folder}`, ...(folder === "coordination" ? ["test/rules"] : [])];
  return { config: configOf(`${paths[0]}/`), paths, titles: null };
}

/** Titles of `it.each`, and templates, have other words in these positions. */
const filledIn = /%[a-z]|\$\{[^}]*\}|\$[\w.]+/g;

function patternOf(titles: readonly string[] | null): string {
  const byDay = "^(?!.*@night)";
  if (titles === null) return byDay;
  const texts = titles.map((title) =>
    title
      .split(filledIn)
      .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"))
      .join(".*"),
  );
  return `${byDay}.*(?:${texts.join("|")})`;
}

class Copy {
  readonly folder = mkdtempSync(join(tmpdir(), "shim-mutants-"));
  #child: ChildProcess | null = null;

  constructor() {
    // Some tests start programs as another user.
    chmodSync(this.folder, 0o755);
    const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: root,
      encoding: "utf8",
    });
    for (const file of listed.split("\0")) {
      const from = join(root, file);
      if (file === "" || file.startsWith("node_modules") || !existsSync(from)) continue;
      cpSync(from, join(this.folder, file), { verbatimSymlinks: true });
    }
    symlinkSync(join(root, "node_modules"), join(this.folder, "node_modules"));
  }

  remove(): void {
    const { pid } = this.#child ?? {};
    try {
      if (pid !== undefined) process.kill(-pid, "SIGKILL");
    } catch {
      // The group has ended by itself.
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Programs that were built of a mutant are not those of the next one. */
  isStale = false;
  #hasMutant = false;

  async build(): Promise<void> {
    const { code, output } = await this.#run(["scripts/build.mjs"]);
    if (code !== 0) throw new Error(`the copy cannot be built:\n${output}`);
    this.isStale = this.#hasMutant;
  }

  /** @returns what takes the defect back */
  plant(mutant: Mutant): () => void {
    const path = join(this.folder, mutant.file);
    const original = readFileSync(path, "utf8");
    writeFileSync(path, mutated(mutant, this.folder));
    this.#hasMutant = true;
    return () => {
      writeFileSync(path, original);
      this.#hasMutant = false;
    };
  }

  /** @throws {Error} when none of the tests could run */
  async test({ config, paths, titles }: Tests): Promise<Outcome> {
    const report = join(this.folder, "mutant-report.json");
    rmSync(report, { force: true });
    const vitest = join("node_modules", "vitest", "vitest.mjs");
    const options = ["--config", config, "-t", patternOf(titles), "--bail", "1", "--reporter", "json"];
    const { output } = await this.#run([vitest, "run", ...paths, ...options, "--outputFile", report]);
    if (!existsSync(report)) throw new Error(`the tests did not run:\n${output.slice(-2_000)}`);
    const { testResults } = JSON.parse(readFileSync(report, "utf8")) as {
      testResults: { name: string; message: string; assertionResults: { fullName: string; status: string }[] }[];
    };
    const all = testResults.flatMap(({ assertionResults }) => assertionResults);
    const broken = testResults.filter(
      ({ message, assertionResults }) => message !== "" && assertionResults.length === 0,
    );
    if (broken.length > 0) throw new Error(`${broken[0]?.name}: ${broken[0]?.message.slice(0, 500)}`);
    return {
      failed: all.filter(({ status }) => status === "failed").map(({ fullName }) => fullName.trim()),
      passed: all.filter(({ status }) => status === "passed").length,
    };
  }

  #run(args: readonly string[]): Promise<{ code: number | null; output: string }> {
    const { npm_lifecycle_event: _script, ...env } = process.env;
    // A group of its own, which ends as a whole.
    const child = spawn(process.execPath, args, {
      cwd: this.folder,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (output += String(part)));
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, output }));
    });
  }
}

/** What the mutated file says. @throws {Error} unless the text occurs once */
export function mutated({ file, find, replace }: Mutant, folder = root): string {
  const source = readFileSync(join(folder, file), "utf8");
  const parts = source.split(find);
  if (parts.length !== 2) throw new Error(`${file} has the text to replace ${parts.length - 1} times`);
  return parts.join(replace);
}

interface Catch {
  readonly title: string;
  readonly tests: Tests;
}

function startsPrograms({ paths }: Tests): boolean {
  return paths.some((path) => path.startsWith("test/e2e/"));
}

/** The first test that fails; null: none does. */
async function catchOf(copy: Copy, mutant: Mutant): Promise<Catch | null> {
  for (const tests of [...proofsOf(mutant), projectOf(mutant)]) {
    if (!existsSync(join(copy.folder, tests.paths[0] ?? ""))) continue;
    if (startsPrograms(tests)) await copy.build();
    const [title] = (await copy.test(tests)).failed;
    if (title !== undefined) return { title, tests };
  }
  return null;
}

/** @throws {Error} when the test fails without a defect, too */
async function confirm(copy: Copy, { title, tests }: Catch): Promise<void> {
  if (copy.isStale) await copy.build();
  const { failed, passed } = await copy.test({ ...tests, titles: [title] });
  if (failed.length > 0 || passed === 0) throw new Error(`it fails without a defect, too: ${title}`);
}

async function main(numbers: readonly number[]): Promise<void> {
  const chosen = numbers.length > 0 ? numbers : mutants.map((_, at) => at + 1);
  const unknown = chosen.filter((number) => !mutants[number - 1]);
  if (unknown.length > 0) throw new Error(`there are mutants 1 to ${mutants.length}, not ${unknown.join(", ")}`);
  const copy = new Copy();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      copy.remove();
      process.exit(130);
    });
  let [caught, survived] = [0, 0];
  try {
    await copy.build();
    for (const number of chosen) {
      const mutant = mutants[number - 1] as Mutant;
      if (copy.isStale) await copy.build();
      const remove = copy.plant(mutant);
      const found = await catchOf(copy, mutant);
      remove();
      if (found) await confirm(copy, found);
      if (found) caught += 1;
      else survived += 1;
      const verdict = found ? `caught by ${found.title}` : "SURVIVED";
      console.log(`${number}. law ${mutant.law}, ${mutant.file}: ${mutant.why}\n   ${verdict}`);
    }
  } finally {
    copy.remove();
  }
  console.log(`${caught} caught, ${survived} survived`);
  process.exitCode = survived > 0 ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2).map(Number));

/** What a user or an operator relies on, as docs/laws.md has it, with the tests that fail when it does. */

export interface Proof {
  /** A test's title without a number, or an unambiguous start of it, as the file has it. */
  readonly title: string;
  /** From the root of the repository. */
  readonly file: string;
}

export interface Law {
  readonly number: number;
  readonly sentence: string;
  readonly proofs: readonly Proof[];
}

/** A law begins with its number; each indented `proof:` line below belongs to it. */
export function readLaws(): Law[] {
  const text = readFileSync(join(root, "docs", "laws.md"), "utf8");
  const laws: (Law & { proofs: Proof[] })[] = [];
  for (const line of text.split("\n")) {
    const [, number, sentence] = /^(\d+)\. +(.+)$/.exec(line) ?? [];
    if (number !== undefined && sentence !== undefined) laws.push({ number: Number(number), sentence, proofs: [] });
    const [, title, file] = /^ +proof: \[(.+)\]\(\.\.\/(\S+)\)$/.exec(line) ?? [];
    if (title !== undefined && file !== undefined) laws.at(-1)?.proofs.push({ title: unescaped(title), file });
  }
  return laws;
}

/** Characters that Markdown would take as its own have a backslash in front. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([\\`*_{}[\]<>()#+\-.!|$])/g, "$1");
}
