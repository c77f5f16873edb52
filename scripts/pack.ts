// `npm run pack`: the package for npm, in .scratch/package and packed beside it; it needs nothing but Node.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { Cli } from "../src/cli/cli.ts";
import { build } from "../src/cli/commands/program.ts";
import { systemIo } from "../src/cli/io.ts";
import { manPage } from "./reference/man-page.ts";
import { serverJson, type PackageFacts } from "./server-json.ts";

const root = join(import.meta.dirname, "..");
const parts = [
  ".claude-plugin/marketplace.json",
  "bin",
  "CHANGELOG.md",
  "dist",
  "docs/guide",
  "docs/reference",
  "plugin",
  "README.md",
  "SECURITY.md",
];

const facts = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as PackageFacts;
const folder = join(process.argv[2] ?? join(root, ".scratch"), "package");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const part of parts) {
  // `_headers` is for the assets of a deployed Worker.
  const filter = (path: string): boolean =>
    !path.endsWith("_headers") && (!/\.(png|svg)$/.test(path) || part !== "docs/guide");
  cpSync(join(root, part), join(folder, part), { recursive: true, filter });
}
const licence = join(root, "docs", "licenses", `${facts.license}.txt`);
if (existsSync(licence)) cpSync(licence, join(folder, "LICENSE"));
const program = await build(new Cli(systemIo(import.meta.url, process.env)), (text) => process.stderr.write(text));
mkdirSync(join(folder, "man"));
writeFileSync(join(folder, "man", "shim.1"), manPage(program, facts.version));
writeJson("server.json", serverJson(facts));
writeJson("package.json", manifest());
const options = { cwd: folder, encoding: "utf8" } as const;
const name = execFileSync("npm", ["pack", "--silent", "--pack-destination", ".."], options).trim();
// As npm takes a file: without a folder before it a name would be asked of the registry.
process.stdout.write(`./${relative(process.cwd(), join(folder, "..", name))}\n`);

/** Everything is in the bundles. npm does not publish it before the owner has decided what is still open. */
function manifest(): Record<string, unknown> {
  const { name, version, description, license, repository, mcpName, type, bin, engines } = facts;
  const isDecided = existsSync(licence) && repository !== undefined && !mcpName.includes("OWNER");
  return {
    name,
    version,
    ...(isDecided ? {} : { private: true }),
    description,
    license,
    ...(repository === undefined ? {} : { repository }),
    mcpName,
    keywords: ["mcp", "claude", "claude-code", "recovery", "checkpoint", "session", "crash"],
    type,
    bin,
    man: ["./man/shim.1"],
    files: [...new Set(parts.map((part) => part.split("/")[0])), "man", "server.json"],
    engines,
    // Found where the user has installed them, and done without elsewhere.
    peerDependencies: { ...facts.peerDependencies, "better-sqlite3": `^${facts.dependencies["better-sqlite3"]}` },
    peerDependenciesMeta: { ...facts.peerDependenciesMeta, "better-sqlite3": { optional: true } },
    publishConfig: { access: "public", provenance: true },
  };
}

function writeJson(name: string, value: unknown): void {
  writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
}
