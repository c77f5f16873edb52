import { fetchPages } from "../../../coordinator-client/fetch-pages.ts";
import type { Command } from "commander";
import type { Json } from "../../../contract/values.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { notFound, wrongUsage, type FailedResult } from "../../answer.ts";
import { type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { withCheckedLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { needsAdmin } from "../../needs-admin.ts";
import { moreText, withPageOptions, type PageOptions } from "../../fetch-pages.ts";
import { oneLine, table } from "../../screen-text.ts";
import { parseJson, readJsonFile, readJsonInput } from "../../task-input.ts";

interface Options extends CommonOptions, PageOptions {
  readonly schema?: string;
  readonly file?: string;
}

const maxPerPage = 50;

export function addTopic(program: Command, cli: Cli): void {
  const command = program.command("topic").description("what messages to a topic must look like");
  const define = command
    .command("define <topic> [-]")
    .description("refuse messages to a topic that do not fit a JSON schema (-: from stdin)")
    .option("--schema <json>", "the schema")
    .option("--file <file>", "the same, from a file");
  cli.define(define, (options: Options, topic: string, dash?: string) => defineTopic(cli, options, topic, dash));
  const list = withPageOptions(command.command("list"), maxPerPage).description("topics that have a schema");
  cli.define(list, (options: Options) => withCheckedLink(cli, (link) => listTopics(cli, link, options)));
  const remove = command.command("remove <topic>").description("take any message to a topic again");
  cli.define(remove, (_options: CommonOptions, topic: string) =>
    withCheckedLink(cli, (link) => removeTopic(link, topic)),
  );
}

/** [CL106] */
async function defineTopic(cli: Cli, options: Options, topic: string, dash?: string): Promise<CommandResult> {
  const read = await readSchema(cli, options, dash);
  if (!read.ok) return read;
  const schema = read.value;
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    return wrongUsage('a schema is a JSON object, such as {"type": "object", "required": ["job"]}.');
  }
  return withCheckedLink(cli, async (link) => {
    const done = await link.call("messages.set-topic-schema", { topic, schema });
    if (!done.ok) return needsAdmin(link, "Topics are defined", done);
    return ok({ data: done.value, text: `Messages to topic:${topic} must fit the schema from now on.\n` });
  });
}

async function readSchema(
  cli: Cli,
  { schema, file }: Options,
  dash: string | undefined,
): Promise<Result<Json, FailedResult["error"]>> {
  if (dash !== undefined && dash !== "-") return wrongUsage(`only - may follow the topic, not "${dash.slice(0, 60)}".`);
  const given = [schema, file, dash].filter((one) => one !== undefined);
  if (given.length !== 1) return wrongUsage("give one schema: --schema, --file or -.");
  if (schema !== undefined) return parseJson(schema, "--schema");
  return file === undefined ? readJsonInput(cli) : readJsonFile(cli, file);
}

async function listTopics(cli: Cli, link: CoordinatorLink, options: Options): Promise<CommandResult> {
  const topics = await fetchPages({ ...options, maxPerPage }, "topics", (page) =>
    link.call("messages.list-topic-schemas", page),
  );
  if (!topics.ok) return topics;
  const rows = topics.value.topics.map(({ topic, schema }) => [topic, oneLine(JSON.stringify(schema), 200)]);
  const text =
    rows.length === 0 ? "No topic has a schema.\n" : table([["TOPIC", "SCHEMA"], ...rows], cli.io.size().columns);
  return ok({ data: topics.value, text: text + moreText(topics.value.cursor) });
}

async function removeTopic(link: CoordinatorLink, topic: string): Promise<CommandResult> {
  const listed = await fetchPages({ maxPerPage }, "topics", (page) => link.call("messages.list-topic-schemas", page));
  if (!listed.ok) return listed;
  if (!listed.value.topics.some((one) => one.topic === topic)) return notFound(`topic ${topic} has no schema.`);
  const done = await link.call("messages.set-topic-schema", { topic, schema: null });
  if (!done.ok) return needsAdmin(link, "Topics are defined", done);
  return ok({ data: done.value, text: `Topic ${topic} takes any message again.\n` });
}
