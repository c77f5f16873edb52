import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { getMcpConfigForManifest, MANIFEST_SCHEMAS } from "@anthropic-ai/mcpb";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, onTestFinished } from "vitest";
import { record } from "#src/platform/mcp-connection.ts";
import { pathsIn } from "#src/platform/paths.ts";
import { temporaryFolder, write } from "./git-project.ts";

const root = join(import.meta.dirname, "..", "..", "..");

export function mcpb(...args: string[]): string {
  const program = join(root, "node_modules", "@anthropic-ai", "mcpb", "dist", "cli", "cli.js");
  return execFileSync(process.execPath, [program, ...args], { encoding: "utf8" });
}

/** Makes the bundle and unpacks it elsewhere, once for a file of tests. */
export function unpackedBundle(): string {
  const scratch = mkdtempSync(join(tmpdir(), "shim-bundle-"));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  execFileSync(process.execPath, [join(root, "scripts", "bundle.ts"), scratch], { stdio: "pipe" });
  const packed = join(scratch, "shim.mcpb");
  const folder = join(scratch, "Claude Extensions", "local.mcpb.shim");
  mcpb("unpack", packed, folder);
  return folder;
}

export function manifestOf(folder: string) {
  return MANIFEST_SCHEMAS["0.3"].parse(JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")));
}

type Start = Awaited<ReturnType<typeof startOf>>;

/** What Claude Desktop starts, with its few variables, for the settings that the user has made. */
export async function startOf(extensionPath: string, userConfig: Record<string, string> = {}) {
  const user = temporaryFolder();
  const given = { extensionPath, userConfig, systemDirs: { HOME: user }, pathSeparator: sep };
  const config = await getMcpConfigForManifest({ ...given, manifest: manifestOf(extensionPath) });
  if (config?.command !== "node") throw new Error("Claude Desktop would not start it with its own Node");
  const env: Record<string, string> = { HOME: user, PATH: process.env["PATH"] ?? "", ...config.env };
  return { args: config.args ?? [], env, user, paths: pathsIn(join(user, ".local", "share", "shim")) };
}

export type Mode = "legacy" | { readonly pin: string };

export async function connected(
  { args, env }: Pick<Start, "args" | "env">,
  { mode = "legacy", before = [] }: { readonly mode?: Mode; readonly before?: readonly string[] } = {},
) {
  const given = { command: process.execPath, args: [...before, ...args], env, cwd: "/", stderr: "pipe" as const };
  const transport = new StdioClientTransport(given);
  const chunks: string[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  transport.stderr?.on("data", (chunk) => chunks.push(String(chunk))).once("end", () => resolve(chunks.join("")));
  const client = new Client({ name: "claude-ai", version: "1" }, { versionNegotiation: { mode } });
  onTestFinished(() => client.close());
  await client.connect(transport);
  const ask = async (name: string, input: Record<string, unknown> = {}) => {
    const { content, structuredContent, isError } = await client.callTool({ name, arguments: input });
    const text = content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
    if (isError) throw new Error(`${name}: ${text}`);
    return { text, output: record(structuredContent) };
  };
  const prompt = async (name: string): Promise<string[]> => {
    const { messages } = await client.getPrompt({ name });
    return messages.map(({ role, content }) => (role === "user" && content.type === "text" ? content.text : role));
  };
  const prompts = async () => (await client.listPrompts()).prompts;
  const close = async (): Promise<string> => {
    await client.close();
    return ended;
  };
  return { pid: transport.pid ?? -1, ended, ask, prompt, prompts, close };
}

/** For `node --require`: notes each program that is started, with the names of SHIM's variables that it is given. */
const recorder = `const { appendFileSync } = require("node:fs");
const childProcess = require("node:child_process");
const note = (file, env) => {
  const names = Object.keys(env).filter((name) => name.startsWith("SHIM_"));
  appendFileSync(__filename + ".list", JSON.stringify({ file, names }) + "\\n");
};
const { spawn } = childProcess.ChildProcess.prototype;
childProcess.ChildProcess.prototype.spawn = function (options) {
  note(options.file, Object.fromEntries((options.envPairs ?? []).map((pair) => pair.split("="))));
  return spawn.call(this, options);
};
for (const name of ["spawnSync", "execFileSync", "execSync"]) {
  const original = childProcess[name];
  childProcess[name] = (file, ...rest) => {
    note(file, rest.find((one) => typeof one === "object" && !Array.isArray(one))?.env ?? process.env);
    return original(file, ...rest);
  };
}
`;

/** @returns the recorder's path; its notes are lines of JSON in the file of that name with `.list` behind it */
export function aStartRecorder(): string {
  const folder = temporaryFolder();
  write(folder, { "recorder.cjs": recorder });
  return join(folder, "recorder.cjs");
}
