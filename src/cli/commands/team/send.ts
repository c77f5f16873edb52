import type { Command } from "commander";
import { Priority, type Target } from "../../../contract/messages.ts";
import type { Json } from "../../../contract/json.ts";
import { ok } from "../../../shared/result.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import { enumOption, type Cli, type CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { parseJson, readJsonInput } from "../../task-input.ts";
import { findChat } from "../../chat-names.ts";
import { jsonOrText } from "../../../shared/json-fields.ts";

interface SendOptions {
  /** A text: the body. True: the answer is printed as JSON. */
  readonly json?: string | boolean;
  readonly priority?: Priority;
}

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("send <to> [text]")
    .description("a message to a chat, to topic:<name>, or to all; the text - is read from stdin")
    .option("--json [body]", "send this JSON; without it, print the answer as JSON")
    .addOption(enumOption("--priority <priority>", Priority));
  cli.define(command, async ({ json, priority }: SendOptions, to: string, text?: string) => {
    const body = await readBody(cli, text, json);
    return body.ok ? cli.withWorkspace((link) => send(cli, link, to, { body: body.value, priority })) : body;
  });
}

async function readBody(
  cli: Cli,
  text: string | undefined,
  json: string | boolean | undefined,
): Promise<CliResult<Json>> {
  if (typeof json !== "string") {
    if (text === undefined) return wrongUsage("give a text, or an object: `shim team send all --json '{\"job\": 7}'`.");
    return ok(jsonOrText(text === "-" ? (await cli.io.readInput()).trimEnd() : text) as Json);
  }
  if (text !== undefined)
    return wrongUsage("give a text or --json <body>, not both; --json as the last word prints JSON.");
  return json === "-" ? readJsonInput(cli) : parseJson(json, "--json");
}

interface Message {
  readonly body: Json;
  readonly priority: Priority | undefined;
}

async function send(cli: Cli, link: Workspace, to: string, { body, priority }: Message): Promise<CommandResult> {
  const target = await resolveTarget(cli, link, to);
  if (!target.ok) return target;
  const self = await link.self();
  if (!self.ok) return self;
  const message = { self: self.value, target: target.value, body, ...omitUndefined({ priority }) };
  const sent = await link.call("messages.send", message);
  return sent.ok ? ok({ data: sent.value, text: `Sent to ${to}.\n` }) : sent;
}

async function resolveTarget(cli: Cli, link: Workspace, to: string): Promise<CliResult<Target>> {
  if (to === "all") return ok({ to: "all" });
  if (to.startsWith("topic:")) return ok({ to: "topic", topic: to.slice(6) });
  const chat = await findChat(cli, to);
  return chat.ok ? ok({ to: "chat", chat: chat.value }) : chat;
}
