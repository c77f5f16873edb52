import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { onTestFinished } from "vitest";
import { shimHookScript } from "../../../scripts/shim-hook.ts";

export interface Posted {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface RunOptions {
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly shell?: string;
}

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A program of hooks that prints what it was given. */
const program = `let input = "";
process.stdin.setEncoding("utf8").on("data", (part) => (input += part)).on("end", () => {
  const { SHIM_HOOK_PROCESS, SHIM_HOOK_WAITED } = process.env;
  process.stdout.write(JSON.stringify({ args: process.argv.slice(2), input, SHIM_HOOK_PROCESS, SHIM_HOOK_WAITED }));
});
`;

/** The script in a folder with blanks, beside a stand-in for the program, and a home that has no host yet. */
export class ShimHookRig {
  readonly folder = mkdtempSync(join(tmpdir(), "shim hook-"));
  readonly home = join(this.folder, "a home");
  readonly posted: Posted[] = [];

  constructor() {
    mkdirSync(this.home);
    writeFileSync(join(this.folder, "shim-hook"), shimHookScript());
    writeFileSync(join(this.folder, "hook.cjs"), program);
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** A host that the test plays. */
  async host(answer: RequestListener): Promise<void> {
    const server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (part: string) => (body += part));
      request.on("end", () => {
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

  /** A PATH with these programs alone. */
  pathOf(...names: readonly string[]): string {
    const folder = mkdtempSync(join(this.folder, "path-"));
    for (const name of names) {
      const wrapper = `#!/bin/sh\nPATH='${process.env["PATH"]}' exec ${name} "$@"\n`;
      writeFileSync(join(folder, name), wrapper, { mode: 0o755 });
    }
    return folder;
  }

  /** @param input null: stdin stays open and empty */
  async run(
    input: string | null,
    { args = ["Stop", "--client", "codex"], env = {}, shell = "/bin/sh" }: RunOptions = {},
  ): Promise<Ended> {
    const child = spawn(shell, [join(this.folder, "shim-hook"), process.execPath, ...args], {
      env: { PATH: ["/usr/bin", "/bin"].join(delimiter), HOME: this.folder, SHIM_HOME: this.home, ...env },
      cwd: this.folder,
    });
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (part: string) => (out += part));
    child.stderr.setEncoding("utf8").on("data", (part: string) => (err += part));
    child.stdin.on("error", () => undefined);
    if (input !== null) child.stdin.end(input);
    onTestFinished(() => void child.kill("SIGKILL"));
    const [code] = (await once(child, "close")) as [number | null];
    return { code, out, err };
  }
}
