// The page clients.md of the reference, from the adapters of the clients.
import { supportedClients } from "../../src/clients/adapters.ts";
import type { ClientAdapter, CommandLine } from "../../src/clients/adapter/client-adapter.ts";
import { clientFiles } from "../../src/clients/details.ts";

function command(line: CommandLine): string {
  return `\`${[line.command, ...line.args].join(" ")}\``;
}

function row({ name, title, verifiedWith, commands, isTranscriptUnread }: ClientAdapter): string {
  const hooks = clientFiles[name]?.hooks.file;
  const cells = [
    `[${title}](#${title.toLowerCase().replaceAll(" ", "-")})`,
    verifiedWith,
    hooks === undefined ? "-" : `\`~/${hooks}\``,
    isTranscriptUnread ? "no" : "yes",
    command(commands.resume("<session>")),
    command(commands.start("<prompt>", "<id>")),
  ];
  return `| ${cells.join(" | ")} |`;
}

function section({ name, title, events, lacks }: ClientAdapter): string {
  const limits = lacks.length === 0 ? "It lacks nothing that SHIM uses." : lacks.map((one) => `- ${one}`).join("\n");
  return `## ${title}

\`--client ${name}\`; events: ${events.map((event) => `\`${event}\``).join(", ")}.

${limits}`;
}

export function clientsDocs(): string {
  return `# Clients

Made from the adapters in \`src/clients\` by \`npm run docs\`. Which clients \`shim init\` installs: [clients](../guide/clients.md).

"Tested with" is the version of the real client that was run, killed and resumed with SHIM.

| client | tested with | its hooks or plugin | transcript is read | continues a session | new chat |
| --- | --- | --- | --- | --- | --- |
${supportedClients.map(row).join("\n")}

OpenCode's plugin sends its events to the host, Claude Code to its MCP process; each other client starts a process for each event: [how events reach SHIM](../guide/clients.md).

Not supported: Cursor and the agent of VS Code, Tabnine, CodeBuddy and Devin, which were never run with SHIM ([their MCP server by hand](../guide/clients.md#other-mcp-clients)); Kiro, whose hooks name no session; Antigravity, which has no start of a session; [Claude Desktop and Cowork](../guide/clients.md#claude-desktop) have no hooks, and use the MCP server alone.

${supportedClients.map(section).join("\n\n")}
`;
}
