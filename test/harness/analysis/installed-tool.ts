import { chmodSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { write } from "#harness/machine/git-project.ts";

/** Installs a program the way npm does: a package, and a link in `.bin`. @param script of Node; its arguments begin at `process.argv[2]` */
export function install(folder: string, name: string, script: string, program = name): void {
  const home = join(folder, "node_modules", name);
  const settings = JSON.stringify({ name, version: "9.8.7", bin: { [program]: "cli.js" } });
  write(home, { "package.json": settings, "cli.js": `#!/usr/bin/env node\n${script}` });
  chmodSync(join(home, "cli.js"), 0o755);
  const link = join(folder, "node_modules", ".bin", program);
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(join("..", name, "cli.js"), link);
}

/**
 * Reports the word `debugger` in files of `src` as oxlint would, and with --fix removes lines that have nothing else;
 * the complexity run finds none.
 */
export const fakeOxlint = `
const fs = require("node:fs");
const words = process.argv.slice(2);
const files = fs.existsSync("src") ? fs.readdirSync("src").map((name) => "src/" + name) : [];
const isNamed = (file) => words.includes(".") || words.includes("./" + file);
if (words.includes("--fix"))
  for (const file of files.filter(isNamed))
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/^debugger;\\n/gm, ""));
const isComplexity = words.some((word) => word.includes("complexity.json"));
const bad = { message: "no debugger", code: "eslint(no-debugger)", severity: "error" };
const diagnostics = files.flatMap((filename) =>
  fs.readFileSync(filename, "utf8").split("\\n").flatMap((text, at) => {
    const labels = [{ span: { offset: 0, length: 0, line: at + 1, column: 1 } }];
    return !isComplexity && text.includes("debugger") ? [{ ...bad, filename, labels }] : [];
  }),
);
console.log(JSON.stringify({ diagnostics }));
process.exitCode = diagnostics.length > 0 ? 1 : 0;
`;
