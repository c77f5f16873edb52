import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import * as z from "zod";
import { CannotMeasureError } from "../cannot-measure.ts";
import type { ProofPackage, Published } from "./packages.ts";

const own = join(import.meta.dirname, "../../node_modules");
export const packagesFolder = join(import.meta.dirname, "../../.scratch/packages");

/** Packages of this repository that each project uses as its own. */
const toolPackages = [
  "@ast-grep/cli",
  "@ast-grep/napi",
  "@types/node",
  "@vitest/coverage-v8",
  "fallow",
  "jscodeshift",
  "knip",
  "oxlint",
  "ts-morph",
  "typescript",
  "vitest",
];
const programs = ["ast-grep", "fallow", "jscodeshift", "knip", "oxlint", "tsc", "vitest"];

const Packed = z.array(z.object({ filename: z.string(), integrity: z.string() })).length(1);

/** Downloads with npm, once; the network is needed the first time only. @returns the unpacked folder */
function download({ name, version, integrity }: Published): string {
  const folder = join(packagesFolder, "published", `${name.replaceAll("/", "+")}@${version}`);
  if (existsSync(folder)) return join(folder, "package");
  const temporary = `${folder}.part`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  const args = [
    "pack",
    "--json",
    "--silent",
    "--ignore-scripts",
    "--pack-destination",
    temporary,
    `${name}@${version}`,
  ];
  const [packed] = Packed.parse(JSON.parse(pack(args)));
  if (packed?.integrity !== integrity) throw new Error(`${name}@${version} is not the pinned package`);
  execFileSync("tar", ["xzf", join(temporary, basename(packed.filename)), "-C", temporary]);
  execFileSync("mv", [temporary, folder]);
  return join(folder, "package");
}

function pack(args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync("npm", args, { encoding: "utf8" });
  if (status === 0) return stdout;
  throw new CannotMeasureError(
    `npm cannot download ${args.at(-1)}, which is needed once: ${stderr.trim() || stdout.trim()}`,
  );
}

/** Makes the package a project of its own: its sources and tests, in a repository with one commit. */
export function prepare(one: ProofPackage): string {
  const root = join(packagesFolder, one.folder);
  rmSync(root, { recursive: true, force: true });
  const builds = new Set(["dist", "cjs", "esm", "mjs", "lib"].map((name) => join(download(one), name)));
  cpSync(download(one), root, { recursive: true, filter: (path) => !builds.has(path) });
  for (const file of Object.keys(one.leftOut)) rmSync(join(root, file), { recursive: true, force: true });
  writeProject(one, root);
  linkTools(root);
  for (const dependency of one.dependencies) {
    cpSync(download(dependency), join(root, "node_modules", dependency.name), { recursive: true });
  }
  git(root, "init", "--quiet", "--initial-branch=main");
  commitAll(root, "as published");
  return root;
}

const Manifest = z.looseObject({ name: z.string(), version: z.string() });
const compilerOptions = {
  allowImportingTsExtensions: false,
  esModuleInterop: true,
  jsx: "react",
  lib: ["dom", "esnext"],
  module: "esnext",
  moduleResolution: "bundler",
  noEmit: true,
  skipLibCheck: true,
  strict: true,
  target: "esnext",
  types: ["node", "vitest/globals"],
};

/** The published manifest names tools that are not installed here, and a build that is left out. */
function writeProject({ entry, tests, exports }: ProofPackage, root: string): void {
  const manifest = Manifest.parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
  const { name, version, dependencies } = manifest;
  const test = { scripts: { test: "vitest run" }, devDependencies: { vitest: "*" } };
  write(root, "package.json", { name, version, main: entry, source: entry, exports, dependencies, ...test });
  // Without it oxlint would find the one of this repository.
  write(root, ".oxlintrc.json", {});
  write(root, "tsconfig.json", { compilerOptions, include: ["src", "__tests__", "*.d.ts"] });
  // What these suites use of jest's global is the same in vitest.
  writeFileSync(join(root, "vitest.setup.mjs"), "globalThis.jest = vi;\n");
  const config = { root: ".", test: { globals: true, include: tests, setupFiles: ["./vitest.setup.mjs"] } };
  writeFileSync(join(root, "vitest.config.mjs"), `export default ${JSON.stringify(config)};\n`);
  writeFileSync(join(root, ".gitignore"), "node_modules/\n");
}

function write(root: string, name: string, value: unknown): void {
  writeFileSync(join(root, name), `${JSON.stringify(value, null, 2)}\n`);
}

function linkTools(root: string): void {
  const modules = join(root, "node_modules");
  for (const name of toolPackages) link(join(own, name), join(modules, name));
  for (const name of programs) {
    const target = join(own, ".bin", readlinkSync(join(own, ".bin", name)));
    link(target, join(modules, ".bin", name));
  }
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(relative(dirname(path), target), path);
}

export function git(root: string, ...args: string[]): string {
  return execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

export function commitAll(root: string, message: string): void {
  const author = ["-c", "user.name=proof", "-c", "user.email=proof@example.invalid", "-c", "core.hooksPath=/dev/null"];
  git(root, "add", "--all");
  git(root, ...author, "commit", "--quiet", "--allow-empty", "-m", message);
}

export function testsPass(root: string): boolean {
  const env = { ...process.env, CI: "1", NO_COLOR: "1" };
  return spawnSync("npm", ["test", "--silent"], { cwd: root, env, stdio: "ignore" }).status === 0;
}
