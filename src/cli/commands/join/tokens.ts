import type { Command } from "commander";
import { Scope } from "../../../contract/workspaces.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import type { OutputOf } from "../../../contract/operations.ts";
import type { EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { failed } from "../../answer.ts";
import { enumOption, type Cli, type Columns, type CommonOptions, type CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { requireEdge } from "./membership.ts";
import { readTokenClaim } from "../../../coordinator-client/edge/machine-token.ts";
import { age } from "../../../shared/format.ts";
import { durationOption } from "../../task-input.ts";

interface TokenOptions extends CommonOptions {
  readonly machine: string;
  readonly scope?: Scope;
  readonly ttl?: number;
}

export function addTokens(join: Command, cli: Cli): void {
  const token = join.command("token").description("tokens of machines (needs the workspace's admin token)");
  const create = token
    .command("create")
    .description("a token for one machine, shown once")
    .requiredOption("--machine <name>", "the machine it is for")
    .addOption(enumOption("--scope <scope>", Scope, " (default: work)"))
    .option(
      "--ttl <duration>",
      "how long it is valid, such as 12h or 30d (default: until it is revoked)",
      durationOption,
    );
  cli.define(create, (options: TokenOptions) => createToken(cli, options));
  cli.define(token.command("list").description("all tokens, without their secrets"), () => listTokens(cli));
  const revoke = token.command("revoke <id>").description("revoke a token, at once");
  cli.define(revoke, (_options: CommonOptions, id: string) => revokeToken(cli, id));
}

async function withAdmin(
  cli: Cli,
  body: (link: Workspace, edge: EdgeConfig) => Promise<CommandResult>,
): Promise<CommandResult> {
  const edge = requireEdge(cli);
  if (!edge.ok) return edge;
  const { token, adminToken = readTokenClaim(token, "s") === "admin" ? token : undefined } = edge.value;
  if (adminToken === undefined)
    return failed(
      "no_admin_token",
      "the workspace's admin token is on the machine that made the workspace; run this there.",
    );
  return cli.withWorkspace((link) => body(link, edge.value), { ...edge.value, token: adminToken });
}

function createToken(cli: Cli, { machine, scope = "work", ttl }: TokenOptions): Promise<CommandResult> {
  return withAdmin(cli, async (link, { workspace, url }) => {
    const created = await link.call("tokens.create", { machine, scope, ...omitUndefined({ ttlMs: ttl }) });
    if (!created.ok) return created;
    const { id, token } = created.value;
    cli.progress(
      `Token ${id} for ${machine}, shown only now. On that machine, with the token on stdin: shim join ${workspace} --url ${url} < token`,
    );
    return ok({ data: created.value, text: `${token}\n` });
  });
}

function listTokens(cli: Cli): Promise<CommandResult> {
  return withAdmin(cli, async (link) => {
    const listed = await link.call("tokens.list", {});
    return listed.ok ? ok({ data: listed.value, text: cli.table(listed.value.tokens, columns) }) : listed;
  });
}

const columns: Columns<OutputOf<"tokens.list">["tokens"][number]> = {
  ID: ({ id }) => id,
  MACHINE: ({ machine }) => machine,
  SCOPE: ({ scope }) => scope,
  MADE: ({ ageMs }) => `${age(ageMs)} ago`,
  STATE: ({ isRevoked, expiresInMs }) => (isRevoked ? "revoked" : expiresInMs === 0 ? "over" : "good"),
  EXPIRES: ({ expiresInMs }) => (expiresInMs === null ? "never" : expiresInMs === 0 ? "-" : `in ${age(expiresInMs)}`),
};

function revokeToken(cli: Cli, id: string): Promise<CommandResult> {
  return withAdmin(cli, async (link) => {
    const revoked = await link.call("tokens.revoke", { id });
    return revoked.ok ? ok({ data: { id }, text: `${id} is revoked, and its connections are closed.\n` }) : revoked;
  });
}
