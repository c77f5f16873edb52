import type { Command } from "commander";
import { Scope } from "../../../contract/workspaces.ts";
import { ok } from "../../../shared/result.ts";
import { readEdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { failed, notFound, wrongUsage } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { edgeLink } from "../../coordinator-link.ts";
import { readTokenClaim } from "../../../coordinator-client/edge/machine-token.ts";
import { age } from "../../../shared/format.ts";
import { table } from "../../screen-text.ts";
import { parseDuration } from "../../times.ts";

interface TokenOptions extends CommonOptions {
  readonly machine?: string;
  readonly scope?: string;
  readonly ttl?: string;
}

export function addTokens(edge: Command, cli: Cli): void {
  const token = edge.command("token").description("tokens of machines (needs the workspace's admin token)");
  const create = token
    .command("create")
    .description("a token for one machine, shown once")
    .requiredOption("--machine <name>", "the machine it is for")
    .option("--scope <scope>", "observe, submit, work or admin (default: work)")
    .option("--ttl <duration>", "how long it is good (default: until it is revoked)");
  cli.define(create, (options: TokenOptions) => createToken(cli, options));
  cli.define(token.command("list").description("all tokens, without their secrets"), () => listTokens(cli));
  const revoke = token.command("revoke <id>").description("make a token useless at once");
  cli.define(revoke, (_options: CommonOptions, id: string) => revokeToken(cli, id));
}

async function admin(cli: Cli): Promise<ReturnType<typeof edgeLink>> {
  const edge = readEdgeConfig(cli.paths.home, cli.io.env);
  if (!edge.ok) return failed("edge_unusable", edge.error);
  if (edge.value === null) return notFound("this machine has joined no workspace.");
  const { token, adminToken } = edge.value;
  if (adminToken !== undefined) return edgeLink(edge.value, adminToken);
  if (readTokenClaim(token, "s") === "admin") return edgeLink(edge.value, token);
  return failed("no_admin_token", "the admin token of the workspace is on the machine that made it; go there.");
}

async function createToken(cli: Cli, { machine = "", scope = "work", ttl }: TokenOptions): Promise<CommandResult> {
  const parsedScope = Scope.safeParse(scope);
  if (!parsedScope.success) return wrongUsage(`"${scope}" is no scope: observe, submit, work or admin.`);
  const ttlMs = ttl === undefined ? undefined : parseDuration(ttl);
  if (ttlMs === null) return wrongUsage(`"${ttl}" is no duration. Give one such as 12h or 30d.`);
  const link = await admin(cli);
  if (!link.ok) return link;
  const created = await link.value.call("tokens.create", {
    machine,
    scope: parsedScope.data,
    ...(ttlMs === undefined ? {} : { ttlMs }),
  });
  if (!created.ok) return created;
  cli.progress(
    `Token ${created.value.id} for ${machine}, shown only now. There, with the token on stdin: ${joinLine(cli)}`,
  );
  return ok({ data: created.value, text: `${created.value.token}\n` });
}

function joinLine(cli: Cli): string {
  const edge = readEdgeConfig(cli.paths.home, cli.io.env);
  const { workspace, url } = (edge.ok ? edge.value : null) ?? { workspace: "<workspace>", url: "<url>" };
  return `shim edge join ${workspace} --url ${url} < token`;
}

async function listTokens(cli: Cli): Promise<CommandResult> {
  const link = await admin(cli);
  if (!link.ok) return link;
  const response = await link.value.call("tokens.list", {});
  if (!response.ok) return response;
  const now = cli.io.now();
  const rows = response.value.tokens.map((one) => [
    one.id,
    one.machine,
    one.scope,
    cli.ago(now - one.ageMs),
    one.isRevoked ? "revoked" : one.expiresInMs === 0 ? "over" : "good",
    one.expiresInMs === null ? "never" : one.expiresInMs === 0 ? "-" : `in ${age(one.expiresInMs)}`,
  ]);
  return ok({
    data: response.value,
    text: table([["ID", "MACHINE", "SCOPE", "MADE", "STATE", "EXPIRES"], ...rows], cli.io.size().columns),
  });
}

async function revokeToken(cli: Cli, id: string): Promise<CommandResult> {
  const link = await admin(cli);
  if (!link.ok) return link;
  const revoked = await link.value.call("tokens.revoke", { id });
  return revoked.ok ? ok({ data: { id }, text: `${id} is revoked, and its connections are closed.\n` }) : revoked;
}
