import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { shimHookScript } from "../../../scripts/programs.ts";

export interface Posted {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface RunOptions {
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly shell?: string;
  /** A handle that the client has closed, in the shell's words. */
  readonly closed?: "<&-" | ">&-";
}

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A program of hooks that prints what it was given, and keeps it in a file. */
const program = `let input = "";
process.stdin.setEncoding("latin1").on("data", (part) => (input += part)).on("end", () => {
  const { SHIM_HOOK_PROCESS, SHIM_HOOK_WAITED } = process.env;
  const given = { args: process.argv.slice(2), input: Buffer.from(input, "latin1").toString(), SHIM_HOOK_PROCESS, SHIM_HOOK_WAITED };
  require("node:fs").writeFileSync(__dirname + "/given.json", JSON.stringify(given));
  process.stdout.on("error", () => undefined).write(JSON.stringify(given));
});
`;

/** The script in a folder with blanks, beside a stand-in for the program, and a home that has no host yet. */
export class ShimHookRig {
  readonly folder = mkdtempSync(join(tmpdir(), "shim hook-"));
  readonly home = join(this.folder, "a home");
  /** What the program of hooks was given last. */
  readonly given = join(this.folder, "given.json");
  readonly posted: Posted[] = [];

  constructor({ hasPerl = true } = {}) {
    mkdirSync(this.home);
    const script = shimHookScript();
    const own = hasPerl ? script : script.replaceAll("/usr/bin/perl", "/nonexistent/perl");
    writeFileSync(join(this.folder, "shim-hook"), own);
    writeFileSync(join(this.folder, "hook.cjs"), program);
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** A host that the test plays. */
  async host(answer: RequestListener): Promise<void> {
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const body = Buffer.concat(parts).toString();
        this.posted.push({ url: `${request.method} ${request.url}`, headers: request.headers, body });
        answer(request, response);
      });
    }).listen(join(this.home, "host.sock"));
    await once(server, "listening");
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
  }

  /** The script as a client starts it, in a process group of its own. */
  start({
    args = ["Stop", "--client", "codex"],
    env = {},
    shell = "/bin/sh",
    closed,
  }: RunOptions = {}): ChildProcess & { readonly stdin: NodeJS.WritableStream } {
    const script = [join(this.folder, "shim-hook"), process.execPath, ...args];
    const child = spawn(shell, closed ? ["-c", `exec "$0" "$@" ${closed}`, shell, ...script] : script, {
      env: { PATH: "/usr/bin:/bin", HOME: this.folder, SHIM_HOME: this.home, ...env },
      cwd: this.folder,
      detached: true,
    });
    child.stdin.on("error", () => undefined);
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  }

  async run(input: string | Buffer, options: RunOptions = {}): Promise<Ended> {
    const child = this.start(options);
    child.stdin.end(input);
    return ended(child);
  }
}

export async function ended(child: ChildProcess): Promise<Ended> {
  let [out, err] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (part: string) => (out += part));
  child.stderr?.setEncoding("utf8").on("data", (part: string) => (err += part));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}
