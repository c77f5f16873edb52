import type { McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { details } from "../../clients/details.ts";
import { hookClients } from "../../contract/clients.ts";
import { slashCommands, stepsOf, type SlashCommand } from "../../contract/slash-commands.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import { commandHeading } from "../../clients/adapter/harness-text.ts";
import type { ServerOptions } from "./server.ts";

/**
 * Claude Desktop refuses a prompt of an extension that differs from the text in its manifest
 * (modelcontextprotocol/mcpb#301), so there the user asks, and the tool brings the brief.
 */
export const promptOfExtension = {
  name: "resume",
  description: "Asks SHIM for the chat that ended last, and continues its work",
  text: "Please continue the work of my earlier chat. Call the tool shim_check_recovery with start true. If it brings the brief of a chat that ended, call it again with take true, summarize for me in one sentence what that chat was doing, and continue with its next step. If it brings none, show me the other chats that it names, and ask me which of them to continue.",
} as const;

/** Most clients show them as slash commands. */
export function registerPrompts(server: McpServer, { chat, clientName, isExtension }: ServerOptions): void {
  if (isExtension) {
    const { name, description, text } = promptOfExtension;
    server.registerPrompt(name, { description }, () => fromUser(text));
    return;
  }
  const given = clientName?.toLowerCase() ?? "";
  const client = hookClients.find((name) => given.startsWith(name));
  const { form, promptPrefix: prefix = "" } = client ? details[client] : {};
  // The plugin, and what `shim init` writes for some clients, has them as files.
  if (chat.runtime.env["CLAUDE_PLUGIN_ROOT"] !== undefined || (form && "commands" in form)) return;
  for (const [name, command] of Object.entries<SlashCommand>(slashCommands)) {
    const answer = (words = "") => {
      const given = words.trim();
      const text = `${commandHeading(name, given)}\n\n${stepsOf(command, given)}`;
      return fromUser(withShimCommand(text, () => shimCommand(chat.runtime)));
    };
    const { description, argument } = command;
    if (argument === undefined) server.registerPrompt(prefix + name, { description }, () => answer());
    else {
      const words = z.string().max(1_000).optional().describe(argument.replaceAll(/[[\]]/g, ""));
      const argsSchema = z.object({ words });
      server.registerPrompt(prefix + name, { description, argsSchema }, (given) => answer(given.words));
    }
  }
}

function fromUser(text: string) {
  return { messages: [{ role: "user" as const, content: { type: "text" as const, text } }] };
}
