import { execFile } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { onTestFinished } from "vitest";

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly ms: number;
}

/** A user whose machine has a Node, its npm and a shell, and nothing else on the PATH: no compiler, no git. */
export interface BareMachine {
  readonly home: string;
  readonly prefix: string;
  readonly npxCache: string;
  run(command: string, args: readonly string[], input?: string, env?: NodeJS.ProcessEnv): Promise<Ended>;
  /** Paths of the user's folder and of npm's global one, each with its mode and content. */
  tree(): string[];
}

/** @param node the binary, with the npm of this run beside it */
export function aBareMachine(node: string, registry: string): BareMachine {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "shim-bare-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string): string => join(folder, name);
  for (const name of ["home", "prefix", "path", "cache"]) mkdirSync(at(name));
  symlinkSync(node, join(at("path"), "node"));
  symlinkSync("/bin/sh", join(at("path"), "sh"));
  const npm = dirname(npmCli());
  for (const name of ["npm", "npx"]) symlinkSync(join(npm, `${name}-cli.js`), join(at("path"), name));
  const env = {
    HOME: at("home"),
    PATH: [at("path"), join(at("prefix"), "bin")].join(delimiter),
    TMPDIR: tmpdir(),
    npm_config_registry: registry,
    npm_config_prefix: at("prefix"),
    npm_config_cache: at("cache"),
    npm_config_update_notifier: "false",
  };
  return {
    home: at("home"),
    prefix: at("prefix"),
    npxCache: join(at("cache"), "_npx"),
    run: (command, args, input = "", more = {}) =>
      started(command, args, { env: { ...env, ...more }, cwd: at("home") }, input),
    tree: () => [...treeOf(at("home")), ...treeOf(at("prefix"))],
  };
}

function npmCli(): string {
  const given = process.env["npm_execpath"];
  if (given !== undefined && given.endsWith("npm-cli.js")) return given;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = folders.map((folder) => join(folder, "npm")).find((path) => existsSync(path));
  if (found === undefined) throw new Error("npm is not on the PATH");
  return realpathSync(found);
}

function started(
  command: string,
  args: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly cwd: string },
  input: string,
): Promise<Ended> {
  const startedAt = performance.now();
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const program = command.includes("/") ? command : findOn(options.env["PATH"] ?? "", command);
  const child = execFile(program, args, { ...options, maxBuffer: 10_000_000 }, (error, out, err) => {
    const code = error === null ? 0 : Number(error.code ?? 1);
    resolve({ code, out, err, ms: Math.round(performance.now() - startedAt) });
  });
  child.stdin?.on("error", () => undefined).end(input);
  return promise;
}

function findOn(path: string, name: string): string {
  return (
    path
      .split(delimiter)
      .map((folder) => join(folder, name))
      .find((one) => existsSync(one)) ?? name
  );
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

/** Settings of a user who has Claude Code. */
export function withClaudeCode({ home }: BareMachine): void {
  mkdirSync(join(home, ".claude"));
  writeFileSync(join(home, ".claude", "settings.json"), '{ "model": "opus" }\n');
}
