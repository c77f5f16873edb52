import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { expect, onTestFinished } from "vitest";
import { write } from "#harness/machine/git-project.ts";
import { record } from "#harness/machine/mcp-connection.ts";
import type { Output } from "#harness/machine/programs.ts";
import type { Started, Windows } from "./windows.ts";

/** A folder of a user on drive C:, with a blank and an umlaut, and a project in it. */
export class WindowsUser {
  readonly home: string;
  readonly project: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #windows: Windows;
  readonly #folder: string;

  constructor(windows: Windows, name: string) {
    this.#windows = windows;
    this.home = `C:\\users\\${name} Müller`;
    this.project = `${this.home}\\repo ä`;
    this.#folder = join(windows.driveC, "users", `${name} Müller`);
    mkdirSync(join(this.#folder, "repo ä"), { recursive: true });
    const data = `${this.home}\\AppData`;
    this.env = {
      USERPROFILE: this.home,
      APPDATA: `${data}\\Roaming`,
      LOCALAPPDATA: `${data}\\Local`,
      // Compiled code is the same for all users.
      XDG_CACHE_HOME: "C:\\cache",
      NO_COLOR: "1",
    };
  }

  /** Files below the home. */
  write(files: Readonly<Record<string, string>>): void {
    write(this.#folder, files);
  }

  read(path: string): string {
    return readFileSync(join(this.#folder, path), "utf8");
  }

  at(...path: string[]): string {
    return join(this.#folder, ...path);
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
    return this.#windows.start(this.#windows.node, args, { cwd: this.project, env: { ...this.env, ...env } });
  }

  /** Node with these words, to its end. */
  node(args: readonly string[], input = "", env: Readonly<Record<string, string>> = {}): Promise<Output> {
    return this.#windows.run(this.#windows.node, args, input, { cwd: this.project, env: { ...this.env, ...env } });
  }

  async shim(launcher: string, ...words: string[]): Promise<string> {
    const ran = await this.node([launcher, ...words]);
    expect(ran, JSON.stringify(ran)).toMatchObject({ code: 0 });
    return ran.out;
  }

  /** A line as a client gives it to cmd: as one word, with a backslash at each quote. */
  cmd(line: string, input: string, env: Readonly<Record<string, string>> = {}): Promise<Output> {
    const words = ["/d", "/s", "/c", line];
    return this.#windows.run("cmd.exe", words, input, { cwd: this.project, env: { ...this.env, ...env } });
  }

  kill(pid: number): Promise<Output> {
    return this.node(["-e", `process.kill(${pid})`]);
  }

  /** A client of the server that these words start. */
  async connect(args: readonly string[], name = "claude-ai") {
    const server = this.start(args);
    const client = new Client({ name, version: "1" }, { versionNegotiation: { mode: "legacy" } });
    onTestFinished(() => server.kill());
    let rest = "";
    await client.connect({
      start: async () => {
        server.onOut((text) => {
          const lines = (rest + text).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) client.transport?.onmessage?.(JSON.parse(line) as never);
        });
      },
      send: async (message) => server.write(`${JSON.stringify(message)}\n`),
      close: async () => server.end(),
    });
    const ask = async (tool: string, input: Record<string, unknown> = {}) => {
      const { content, structuredContent, isError } = await client.callTool({ name: tool, arguments: input });
      const text = content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
      if (isError) throw new Error(`${tool}: ${text}`);
      return { text, output: record(structuredContent) };
    };
    return { ask, kill: () => server.kill(), ended: server.ended };
  }
}
