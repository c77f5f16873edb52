import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { getMcpConfigForManifest, MANIFEST_SCHEMAS } from "@anthropic-ai/mcpb";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, onTestFinished } from "vitest";
import { record } from "../../../demo/mcp-connection.ts";
import { pathsIn, type Paths } from "#src/platform/paths.ts";

const root = join(import.meta.dirname, "..", "..", "..");

/** The tool of those who make such bundles, as its command. */
export function mcpb(...args: string[]): string {
  const program = join(root, "node_modules", "@anthropic-ai", "mcpb", "dist", "cli", "cli.js");
  return execFileSync(process.execPath, [program, ...args], { encoding: "utf8" });
}

/** Makes the bundle and unpacks it elsewhere, once for a file of tests. */
export function unpackedBundle(): { packed: string; folder: string } {
  const scratch = mkdtempSync(join(tmpdir(), "shim-bundle-"));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  execFileSync(process.execPath, [join(root, "scripts", "bundle.ts"), scratch], { stdio: "pipe" });
  const packed = join(scratch, "shim.mcpb");
  const folder = join(scratch, "Claude Extensions", "local.mcpb.shim");
  mcpb("unpack", packed, folder);
  return { packed, folder };
}

export function manifestOf(folder: string) {
  return MANIFEST_SCHEMAS["0.3"].parse(JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")));
}

/** What Claude Desktop starts, with its few variables, for the settings that the user has made. */
export async function startOf(folder: string, settings: Record<string, string> = {}) {
  const manifest = manifestOf(folder);
  const user = mkdtempSync(join(tmpdir(), "shim-desktop-"));
  onTestFinished(() => rmSync(user, { recursive: true, force: true }));
  const given = {
    manifest,
    extensionPath: folder,
    systemDirs: { HOME: user },
    userConfig: settings,
    pathSeparator: sep,
  };
  const config = await getMcpConfigForManifest(given);
  if (config?.command !== "node") throw new Error("Claude Desktop would not start it with its own Node");
  const env: Record<string, string> = { HOME: user, PATH: process.env["PATH"] ?? "", ...config.env };
  return { args: config.args ?? [], env, user };
}

export type Start = Awaited<ReturnType<typeof startOf>>;

/** SHIM's folder where the user has named none. */
export function pathsOf({ user }: Start): Paths {
  return pathsIn(join(user, ".local", "share", "shim"));
}

export interface Running {
  readonly client: Client;
  readonly pid: number;
  /** All that it wrote to stderr until its end. */
  readonly ended: Promise<string>;
}

export type Mode = "legacy" | { readonly pin: string };

/** A client as Claude Desktop is one, in the root folder. */
export async function connected(
  { args, env }: Pick<Start, "args" | "env">,
  mode: Mode = "legacy",
  before: readonly string[] = [],
): Promise<Running> {
  const given = { command: process.execPath, args: [...before, ...args], env, cwd: "/", stderr: "pipe" as const };
  const transport = new StdioClientTransport(given);
  const chunks: string[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  transport.stderr?.on("data", (chunk) => chunks.push(String(chunk))).once("end", () => resolve(chunks.join("")));
  const client = new Client({ name: "claude-ai", version: "1" }, { versionNegotiation: { mode } });
  onTestFinished(() => client.close());
  await client.connect(transport);
  return { client, pid: transport.pid ?? -1, ended };
}

/** Calls a tool that must not refuse; what it said, and what it told. */
export async function answer(
  { client }: Running,
  name: string,
  input: Record<string, unknown> = {},
): Promise<{ text: string; output: Record<string, unknown> }> {
  const { content, structuredContent, isError } = await client.callTool({ name, arguments: input });
  const text = content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
  if (isError) throw new Error(`${name}: ${text}`);
  return { text, output: record(structuredContent) };
}
