/**
 * [TX6] Runs jscodeshift's own program. Its writes ask for fsync, which Node's permissions refuse
 * (seen in 24.21: "fsync API is disabled"); the files are in a worktree that is thrown away.
 */
export const jscodeshiftScript = `"use strict";
const fs = require("node:fs");
const [program, list, ...args] = process.argv.slice(1);
fs.fsync = (_file, done) => process.nextTick(done, null);
process.env.BABEL_DISABLE_CACHE = "1";
process.argv = [process.argv[0], program, ...args, ...fs.readFileSync(list, "utf8").split("\\n").filter(Boolean)];
require(program);
`;

/** ts-morph is a library: the codemod's default export gets a project of the listed files. */
export const tsMorphScript = `"use strict";
const { readFileSync } = require("node:fs");
const { pathToFileURL } = require("node:url");
const [library, list, codemod, tsConfigFilePath] = process.argv.slice(1);
const { Project } = require(library);
const project = new Project(
  tsConfigFilePath
    ? { tsConfigFilePath, skipAddingFilesFromTsConfig: true }
    : { compilerOptions: { allowJs: true } },
);
for (const file of readFileSync(list, "utf8").split("\\n").filter(Boolean)) project.addSourceFileAtPath(file);
async function main() {
  const loaded = await import(pathToFileURL(codemod).href);
  const transform = loaded.default?.default ?? loaded.default;
  if (typeof transform !== "function") throw new Error(codemod + " has no default export that is a function");
  await transform(project);
  await project.save();
}
main().catch((error) => {
  console.error(error?.stack ?? error);
  process.exitCode = 1;
});
`;
