import { install } from "#harness/analysis/project.ts";

/**
 * Installs a program that runs as Stryker does, and writes its report: one mutant for each line of
 * a file that has the word `return`.
 *
 * @param isNoticed expression of what the tests notice, with `fs`
 */
export function installStryker(folder: string, isNoticed = "false"): void {
  const script = `
const fs = require("node:fs");
const [command, config] = process.argv.slice(2);
if (command !== "run") throw new Error("it is run");
import(process.cwd() + "/" + config).then(({ default: { mutate, jsonReporter, isBroken } }) => {
  if (isBroken) throw new Error("There were failed tests in the initial test run.");
  const entries = mutate.map((file) => {
    const source = fs.readFileSync(file, "utf8");
    const mutants = source.split("\\n").flatMap((text, at) => {
      const column = text.indexOf("return") + 1;
      const location = { start: { line: at + 1, column }, end: { line: at + 1, column: column + 6 } };
      const status = ${isNoticed} ? "Killed" : "Survived";
      return column === 0 ? [] : [{ id: String(at), mutatorName: "BlockStatement", replacement: "", status, location }];
    });
    return [file, { language: "typescript", source, mutants }];
  });
  fs.mkdirSync("reports/mutation", { recursive: true });
  fs.writeFileSync(jsonReporter.fileName, JSON.stringify({ schemaVersion: "1", files: Object.fromEntries(entries) }));
});
`;
  install(folder, "@stryker-mutator/core", script, "stryker");
}
