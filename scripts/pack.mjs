// `npm run pack`: the package as it would be published, in .scratch/package: built, without the pinned Node and without what only developers need.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const {
  name,
  version,
  description,
  license,
  type,
  bin,
  engines,
  dependencies,
  peerDependencies,
  peerDependenciesMeta,
} = JSON.parse(readFileSync("package.json", "utf8"));
const folder = ".scratch/package";
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const part of ["bin", "dist", "plugin", "docs", "README.md", "CHANGELOG.md", "SECURITY.md"]) {
  cpSync(part, `${folder}/${part}`, { recursive: true });
}
// Only what is not in the bundles is a dependency of the package.
const outside = { "better-sqlite3": dependencies["better-sqlite3"] };
const peers = { peerDependencies, peerDependenciesMeta };
const own = { name, version, private: true, description, license, type, bin, engines };
const manifest = { ...own, dependencies: outside, ...peers };
writeFileSync(`${folder}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
process.stdout.write(
  execFileSync("npm", ["pack", "--silent", "--pack-destination", ".."], { cwd: folder, encoding: "utf8" }),
);
