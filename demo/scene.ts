import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { noFile } from "../src/snapshots/git.ts";
import { pathsIn, type Paths } from "../src/platform/paths.ts";
import { codeOf } from "../src/shared/error.ts";

export class GitMissing extends Error {
  override message = "the demo works in a git project, and git was not found. Install git.";
}

/** A temporary folder with a git project and a SHIM home. */
export class Scene {
  readonly root: string;
  readonly project: string;
  readonly paths: Paths;
  /** Without variables of a client that started the demo, and without the user's git settings. */
  readonly env: NodeJS.ProcessEnv;

  constructor(name: string, project: string, env: NodeJS.ProcessEnv) {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), `shim-${name}-`)));
    this.project = join(this.root, project);
    this.paths = pathsIn(join(this.root, "shim"));
    const foreign = /^(CLAUDE|SHIM_|GIT_|NODE_TEST_CONTEXT)/;
    const kept = Object.entries(env).filter(([variable]) => !foreign.test(variable));
    this.env = {
      ...Object.fromEntries(kept),
      SHIM_HOME: this.paths.home,
      GIT_CONFIG_GLOBAL: noFile,
      GIT_CONFIG_NOSYSTEM: "1",
    };
  }

  /** Commits the files as the project's first state. @throws {GitMissing} */
  makeProject(files: Readonly<Record<string, string>>, message: string): void {
    mkdirSync(this.project);
    this.git("init", "--quiet", "--initial-branch=main");
    for (const [name, content] of Object.entries(files)) this.write(name, content);
    this.git("add", "--all");
    this.git("commit", "--quiet", "--message", message);
  }

  inProject(name: string): string {
    return join(this.project, name);
  }

  write(name: string, content: string): void {
    const path = this.inProject(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }

  git(...args: string[]): string {
    const author = ["-c", "user.name=SHIM demo", "-c", "user.email=demo@localhost"];
    try {
      return execFileSync("git", ["-C", this.project, ...author, ...args], {
        env: this.env,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 30_000,
      }).trim();
    } catch (error) {
      throw codeOf(error) === "ENOENT" ? new GitMissing(undefined, { cause: error }) : error;
    }
  }

  remove(): void {
    // A process killed a moment ago may still hold a file on Windows.
    rmSync(this.root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

interface Wait {
  readonly maxMs: number;
  readonly everyMs: number;
  readonly signal?: AbortSignal;
}

/** Polls until `find` answers something. @param what for the error when it does not in time */
export async function pollUntil<T>(
  what: string,
  find: () => Promise<T | null> | T | null,
  { maxMs, everyMs, signal }: Wait,
): Promise<T> {
  const end = performance.now() + maxMs;
  for (;;) {
    signal?.throwIfAborted();
    const found = await find();
    if (found !== null) return found;
    if (performance.now() > end) throw new Error(`timed out after ${maxMs / 1_000} s: expected that ${what}`);
    await pause(everyMs);
  }
}

export interface CheckLine {
  readonly what: string;
  readonly verdict: string;
  readonly detail: string;
}

/** Formats the checks of a demo, one to a line. */
export function formatChecks(checks: readonly CheckLine[]): string[] {
  const width = Math.max(...checks.map(({ what }) => what.length));
  return checks.map(({ what, verdict, detail }) => `  ${verdict}  ${what.padEnd(width)}  ${detail}`);
}

export interface Check {
  readonly what: string;
  readonly holds: boolean;
  readonly detail: string;
}

export type Paint = (color: "green" | "red", text: string) => string;

/** Formats checks that hold or do not. */
export function formatVerdicts(checks: readonly Check[], paint: Paint): string[] {
  return formatChecks(
    checks.map(({ what, holds, detail }) => ({
      what,
      verdict: holds ? paint("green", "ok   ") : paint("red", "WRONG"),
      detail,
    })),
  );
}
