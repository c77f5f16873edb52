/** `npm run test:mutation [-- <lines> <seed> [folder...]]`: Stryker's mutants of lines that the seed draws, in each of three folders of `src`, or in those named. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** All their mutants, about one a line, would take days. */
const tested = {
  coordination: ["test/node/coordination", "test/rules"],
  machine: ["test/node/machine", "test/node/cli", "test/node/local-mcp"],
  redaction: ["test/node/redaction"],
};

/** @returns `file:line-line` of lines that are more than a bracket or a comment */
function drawLines(folder: string, count: number, seed: string): string[] {
  const ranges = globSync(`src/${folder}/**/*.ts`, { cwd: root }).flatMap((file) =>
    readFileSync(join(root, file), "utf8")
      .split("\n")
      .flatMap((line, at) => (/^\s*(?!\/?\*|\/\/|import\b)\S.*\w/.test(line) ? [`${file}:${at + 1}-${at + 1}`] : [])),
  );
  const order = (range: string): string => createHash("sha256").update(`${seed} ${range}`).digest("hex");
  return ranges
    .map((range) => ({ range, order: order(range) }))
    .toSorted((a, b) => (a.order < b.order ? -1 : 1))
    .slice(0, count)
    .map(({ range }) => range);
}

const [lines = "100", seed = new Date().toISOString().slice(0, 10), ...named] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(lines)) throw new Error(`the number of lines is a whole number from 1, not ${lines}`);
for (const [folder, tests] of Object.entries(tested)) {
  if (named.length > 0 && !named.includes(folder)) continue;
  console.log(`src/${folder}: mutants of ${lines} lines, drawn by ${seed}`);
  // What runs on import meets all tests, which takes hours in a folder of many; the patterns of secrets are of this kind.
  const options = folder === "redaction" ? [] : ["--ignoreStatic"];
  const mutated = ["--mutate", drawLines(folder, Number(lines), seed).join(",")];
  const { status } = spawnSync("stryker", ["run", ...mutated, ...options], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, SHIM_MUTATION_TESTS: tests.join(",") },
  });
  if (status !== 0) process.exitCode = 1;
}
