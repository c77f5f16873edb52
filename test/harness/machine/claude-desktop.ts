import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { getMcpConfigForManifest, MANIFEST_SCHEMAS } from "@anthropic-ai/mcpb";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, onTestFinished } from "vitest";
import { record } from "#src/platform/mcp-connection.ts";
import { pathsIn } from "#src/platform/paths.ts";
import { temporaryFolder } from "./git-project.ts";

const root = join(import.meta.dirname, "..", "..", "..");

/** The program that makes such bundles. */
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

/** A certificate of one's own for signing, made without the network; null where there is no openssl. */
export function selfSigned(): { readonly cert: string; readonly key: string } | null {
  const at = temporaryFolder();
  const [cert, key] = [join(at, "cert.pem"), join(at, "key.pem")];
  const subject = ["-subj", "/CN=SHIM test", "-days", "2", "-addext", "extendedKeyUsage=codeSigning"];
  const files = ["-keyout", key, "-out", cert];
  const made = spawnSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...files, ...subject]);
  return made.status === 0 ? { cert, key } : null;
}

const signatureMark = "MCPB_SIG_V1";

/**
 * The signature behind a bundle, and what openssl makes of it: `mcpb verify` 2.1.2 knows no bundle as signed, because its
 * library verifies no PKCS#7.
 */
export function verifiedBy(cert: string, signed: string, content: Buffer): string {
  const whole = readFileSync(signed);
  const at = whole.lastIndexOf(signatureMark) + signatureMark.length;
  const [signature, data] = [`${signed}.der`, `${signed}.content`];
  writeFileSync(signature, whole.subarray(at + 4, at + 4 + whole.readUInt32LE(at)));
  writeFileSync(data, content);
  const files = ["-in", signature, "-content", data, "-CAfile", cert, "-out", "/dev/null"];
  const options = ["-verify", "-binary", "-inform", "DER", "-purpose", "any"];
  return spawnSync("openssl", ["cms", ...options, ...files], { encoding: "utf8" }).stderr.trim();
}

type Start = Awaited<ReturnType<typeof startOf>>;

/** What Claude Desktop starts, with its few variables, for the settings that the user has made. */
export async function startOf(extensionPath: string, userConfig: Record<string, string> = {}) {
  const user = temporaryFolder();
  const given = { extensionPath, userConfig, systemDirs: { HOME: user }, pathSeparator: sep };
  const config = await getMcpConfigForManifest({ ...given, manifest: manifestOf(extensionPath) });
  if (config?.command !== "node") throw new Error("Claude Desktop would not start it with its own Node");
  const env: Record<string, string> = { HOME: user, PATH: process.env["PATH"] ?? "", ...config.env };
  // Where the user has named no folder.
  return { args: config.args ?? [], env, user, paths: pathsIn(join(user, ".local", "share", "shim")) };
}

export type Mode = "legacy" | { readonly pin: string };

/** A client as Claude Desktop is one, in the root folder. */
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
  /** Calls a tool that must not refuse. */
  const ask = async (name: string, input: Record<string, unknown> = {}) => {
    const { content, structuredContent, isError } = await client.callTool({ name, arguments: input });
    const text = content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
    if (isError) throw new Error(`${name}: ${text}`);
    return { text, output: record(structuredContent) };
  };
  /** What its menu of prompts inserts. */
  const prompt = async (name: string): Promise<string[]> => {
    const { messages } = await client.getPrompt({ name });
    return messages.map(({ role, content }) => (role === "user" && content.type === "text" ? content.text : role));
  };
  const prompts = async () => (await client.listPrompts()).prompts;
  /** @returns all that it has written to stderr */
  const close = async (): Promise<string> => {
    await client.close();
    return ended;
  };
  return { pid: transport.pid ?? -1, ended, ask, prompt, prompts, close };
}
