import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { build } from "esbuild";

/** Built as SHIM's own programs are. @returns its path */
export async function emptyServer(): Promise<string> {
  const outfile = join(tmpdir(), "empty-server.mjs");
  const entryPoints = ["bench/empty-server.ts"];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", target: "node22.16" });
  return outfile;
}

export interface Stdio {
  readonly pid: number;
  /** @throws when the tool answers with an error */
  call(name: string, args: Record<string, unknown>): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

/** A real MCP client on a server process of the same Node. */
export async function connect(args: readonly string[], env: Record<string, string>): Promise<Stdio> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [...args],
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stderr: "ignore",
  });
  const client = new Client({ name: "bench", version: "1" });
  await client.connect(transport);
  return {
    pid: transport.pid ?? 0,
    call: async (name, given) => {
      const result = await client.callTool({ name, arguments: given });
      if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
      return (result.structuredContent ?? {}) as Record<string, unknown>;
    },
    close: () => client.close(),
  };
}
