// Writes server.json, as the registry of MCP servers wants it: `node scripts/server-json.ts`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface PackageFacts {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly mcpName: string;
  readonly repository?: { readonly type: string; readonly url: string };
  readonly type: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly engines: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, unknown>>;
}

/** Of https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json */
export function serverJson({ name, version, description, mcpName, repository }: PackageFacts): Record<string, unknown> {
  const url = repository?.url.replace(/^git\+/, "").replace(/\.git$/, "");
  return {
    $schema: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
    name: mcpName,
    title: "SHIM",
    description,
    ...(url === undefined ? {} : { repository: { url, source: "github" } }),
    version,
    packages: [
      {
        registryType: "npm",
        identifier: name,
        version,
        transport: { type: "stdio" },
        packageArguments: [{ type: "positional", value: "mcp" }],
        environmentVariables: [
          {
            name: "SHIM_HOME",
            description: "Folder in which SHIM saves; by default the usual one of the system",
            format: "filepath",
          },
        ],
      },
    ],
  };
}

if (process.argv[1] === import.meta.filename) {
  const root = join(import.meta.dirname, "..");
  const facts = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as PackageFacts;
  writeFileSync(join(root, "server.json"), `${JSON.stringify(serverJson(facts), null, 2)}\n`);
}
