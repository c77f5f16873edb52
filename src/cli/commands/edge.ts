import type { Command } from "commander";
import { hostname } from "node:os";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Scope, Workspace } from "../../contract/workspaces.ts";
import { ok, type Result } from "../../shared/result.ts";
import { addressOf } from "../../local-mcp/edge/address.ts";
import { claimOf, isMachineToken } from "../../local-mcp/edge/machine-token.ts";
import { edgeIn, forgetEdge, isSame, readEdge, writeEdge, type Edge, type Place } from "../../local-mcp/authority.ts";
import { failed, notFound, wrongUsage, type Refused } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import { coordination, remote } from "../coordination.ts";
import { createWorkspace } from "../create-workspace.ts";
import { age } from "../../local-mcp/recovery/brief.ts";
import { table } from "../screen-text.ts";
import { parseDuration } from "../times.ts";

/** Of `npm run dev`. */
const devPort = "8787";
const devUrl = `http://127.0.0.1:${devPort}`;

interface UrlOptions extends Common {
  readonly url?: string;
  readonly yes?: boolean;
}

interface TokenOptions extends Common {
  readonly machine?: string;
  readonly scope?: string;
  readonly ttl?: string;
}

export function addEdge(program: Command, cli: Cli): void {
  const edge = program
    .command("edge")
    .description("a coordinator that machines share; without one each machine has its own");
  const workspace = edge.command("workspace").description("workspaces of a coordinator");
  const create = workspace
    .command("create <name>")
    .description("make a workspace (needs SHIM_ADMIN_SECRET), and join it with this machine")
    .option("--url <url>", `where the coordinator is (default: ${devUrl})`)
    .option("-y, --yes", "do not ask");
  cli.define(create, (options: UrlOptions, name: string) => createOne(cli, options, name));
  const join = edge
    .command("join <workspace>")
    .description("join a workspace with this machine; the token is read from stdin")
    .requiredOption("--url <url>", "where the coordinator is")
    .option("-y, --yes", "do not ask");
  cli.define(join, (options: UrlOptions, name: string) => joinOne(cli, options, name));
  cli.define(edge.command("status").description("who decides for this machine, and how it is"), () => status(cli));
  const leave = edge.command("leave").description("back to this machine's own file").option("-y, --yes", "do not ask");
  cli.define(leave, (options: UrlOptions) => leaveIt(cli, options));
  addTokens(edge, cli);
}

function addTokens(edge: Command, cli: Cli): void {
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
  cli.define(revoke, (_options: Common, id: string) => revokeToken(cli, id));
}

async function createOne(cli: Cli, options: UrlOptions, name: string): Promise<Outcome> {
  const url = options.url ?? devUrl;
  const checked = checkedNames(url, name);
  if (!checked.ok) return checked;
  const may = await mayReplace(cli, options, { url, workspace: name });
  if (may) return may;
  const secret = adminSecret(cli, url);
  if (secret === null) {
    return wrongUsage(
      "making a workspace needs the secret of the deployment in SHIM_ADMIN_SECRET (`npm run deploy` has shown it; `npm run dev` keeps it in .dev.vars).",
    );
  }
  const machine = hostname();
  const made = await createWorkspace(cli.paths.home, { url, workspace: name, machine }, secret);
  if (!made.ok) return made;
  return ok({
    data: { workspace: name, url, machine },
    text: `Workspace ${name} is there, and this machine (${machine}) has joined it. For another machine: \`shim edge token create --machine <name>\`.\n`,
  });
}

/** The development server's secret lies beside it; elsewhere only the environment has one. */
function adminSecret(cli: Cli, url: string): string | null {
  const given = cli.io.env["SHIM_ADMIN_SECRET"];
  if (given) return given;
  if (!isDevServer(url, [devPort, cli.io.env["SHIM_DEV_PORT"]])) return null;
  try {
    const text = readFileSync(join(cli.io.cwd, ".dev.vars"), "utf8");
    return /^SHIM_ADMIN_SECRET=(.+)$/m.exec(text)?.[1]?.trim() ?? null;
  } catch {
    return null;
  }
}

/** Whatever this machine is called in it. */
function isDevServer(url: string, ports: readonly (string | undefined)[]): boolean {
  const { protocol, hostname: host, port, pathname } = new URL(url);
  const isHere = protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(host);
  return isHere && pathname === "/" && ports.includes(port);
}

async function joinOne(cli: Cli, options: UrlOptions, name: string): Promise<Outcome> {
  const url = options.url ?? devUrl;
  const checked = checkedNames(url, name);
  if (!checked.ok) return checked;
  const may = await mayReplace(cli, options, { url, workspace: name });
  if (may) return may;
  const token = (await cli.io.readInput()).trim();
  if (!isMachineToken(token)) return wrongUsage("give the token on stdin: `shim edge join ... < token-file`.");
  const edge: Edge = {
    url,
    workspace: name,
    machine: claimOf(token, "m") ?? hostname(),
    token,
    ...kept(cli, url, name),
  };
  const link = remote(edge, token);
  if (!link.ok) return link;
  const health = await link.value.call("health", {});
  if (!health.ok) return health;
  writeEdge(cli.paths.home, edge);
  return ok({
    data: { workspace: name, url, machine: edge.machine },
    text: `This machine has joined ${name} as ${edge.machine}.\n`,
  });
}

function checkedNames(url: string, name: string): Result<void, Refused["error"]> {
  const workspace = Workspace.safeParse(name);
  if (!workspace.success)
    return wrongUsage(`"${name}" is no name for a workspace: ${workspace.error.issues[0]?.message}.`);
  const address = addressOf(url, name);
  return address.ok ? ok(undefined) : wrongUsage(`${address.error}.`);
}

/** [EM3] A new token for the same workspace leaves the admin token where it is. */
function kept(cli: Cli, url: string, workspace: string): Pick<Edge, "adminToken"> {
  const old = readEdge(cli.paths.home);
  if (!old.ok || old.value?.adminToken === undefined || !isSame(old.value, { url, workspace })) return {};
  return { adminToken: old.value.adminToken };
}

/** Without one nobody can list, make or revoke tokens any more. */
function adminGoes({ adminToken }: Edge): string {
  if (adminToken === undefined) return "";
  return " The admin token goes with it: to keep one, first `shim edge token create --machine <name> --scope admin`.";
}

/** [DX4] What is written into the file would have no effect. */
function decidedElsewhere(cli: Cli): Refused | null {
  const given = edgeIn(cli.io.env);
  if (given.ok && given.value === null) return null;
  return failed(
    "environment_decides",
    "SHIM_EDGE_URL, SHIM_WORKSPACE and SHIM_TOKEN of the environment decide here. Unset them first.",
  );
}

/** [EM3] Two authorities are never mixed: what the old one knows stays with it. */
async function mayReplace(cli: Cli, { yes }: UrlOptions, next: Place): Promise<Refused | null> {
  const elsewhere = decidedElsewhere(cli);
  if (elsewhere) return elsewhere;
  const old = readEdge(cli.paths.home);
  if (!old.ok || old.value === null || isSame(old.value, next)) return null;
  const was = `${old.value.url}, workspace ${old.value.workspace}`;
  const question = `This machine belongs to ${was}. Leave it for ${next.url}, workspace ${next.workspace}? What is stored there stays there.${adminGoes(old.value)}`;
  const said = await cli.confirm(question, yes === true);
  if (said === "yes") return null;
  return failed("not_confirmed", said === "no" ? "nothing was changed." : `${question} Say so with --yes.`);
}

async function status(cli: Cli): Promise<Outcome> {
  const link = await coordination(cli);
  if (!link.ok) return link;
  const health = await link.value.call("health", {});
  link.value.close();
  if (!health.ok) return health;
  const { chats, epoch, revision, overdueRows, sockets } = health.value;
  const text = `Decided by ${link.value.where}: ${chats} chats, revision ${revision}, epoch ${epoch}, ${sockets} connections, ${overdueRows} rows overdue.\n`;
  return ok({ data: { where: link.value.where, ...health.value }, text });
}

async function leaveIt(cli: Cli, { yes }: UrlOptions): Promise<Outcome> {
  const elsewhere = decidedElsewhere(cli);
  if (elsewhere) return elsewhere;
  const old = readEdge(cli.paths.home);
  if (old.ok && old.value === null) return notFound("this machine has joined no workspace.");
  const was = old.ok ? old.value : null;
  const name = was ? `${was.url}, workspace ${was.workspace}` : "an unreadable edge.json";
  const lost = was ? adminGoes(was) : "";
  const said = await cli.confirm(
    `Leave ${name}? The token is deleted here; revoke it there, too.${lost}`,
    yes === true,
  );
  if (said !== "yes")
    return failed("not_confirmed", said === "no" ? "nothing was changed." : `say so with --yes.${lost}`);
  forgetEdge(cli.paths.home);
  return ok({ data: { left: name }, text: `Left ${name}; this machine decides for itself again.\n` });
}

async function admin(cli: Cli): Promise<ReturnType<typeof remote>> {
  const edge = readEdge(cli.paths.home, cli.io.env);
  if (!edge.ok) return failed("edge_unusable", edge.error);
  if (edge.value === null) return notFound("this machine has joined no workspace.");
  const { token, adminToken } = edge.value;
  if (adminToken !== undefined) return remote(edge.value, adminToken);
  if (claimOf(token, "s") === "admin") return remote(edge.value, token);
  return failed("no_admin_token", "the admin token of the workspace is on the machine that made it; go there.");
}

async function createToken(cli: Cli, { machine = "", scope = "work", ttl }: TokenOptions): Promise<Outcome> {
  const wanted = Scope.safeParse(scope);
  if (!wanted.success) return wrongUsage(`"${scope}" is no scope: observe, submit, work or admin.`);
  const ttlMs = ttl === undefined ? undefined : parseDuration(ttl);
  if (ttlMs === null) return wrongUsage(`"${ttl}" is no duration. Give one such as 12h or 30d.`);
  const link = await admin(cli);
  if (!link.ok) return link;
  const made = await link.value.call("tokens.create", {
    machine,
    scope: wanted.data,
    ...(ttlMs === undefined ? {} : { ttlMs }),
  });
  if (!made.ok) return made;
  cli.progress(
    `Token ${made.value.id} for ${machine}, shown only now. There, with the token on stdin: ${joinLine(cli)}`,
  );
  return ok({ data: made.value, text: `${made.value.token}\n` });
}

function joinLine(cli: Cli): string {
  const edge = readEdge(cli.paths.home, cli.io.env);
  const { workspace, url } = (edge.ok ? edge.value : null) ?? { workspace: "<workspace>", url: "<url>" };
  return `shim edge join ${workspace} --url ${url} < token`;
}

async function listTokens(cli: Cli): Promise<Outcome> {
  const link = await admin(cli);
  if (!link.ok) return link;
  const listed = await link.value.call("tokens.list", {});
  if (!listed.ok) return listed;
  const now = cli.io.now();
  const rows = listed.value.tokens.map((one) => [
    one.id,
    one.machine,
    one.scope,
    cli.ago(now - one.ageMs),
    one.isRevoked ? "revoked" : one.expiresInMs === 0 ? "over" : "good",
    one.expiresInMs === null ? "never" : one.expiresInMs === 0 ? "-" : `in ${age(one.expiresInMs)}`,
  ]);
  return ok({
    data: listed.value,
    text: table([["ID", "MACHINE", "SCOPE", "MADE", "STATE", "EXPIRES"], ...rows], cli.io.size().columns),
  });
}

async function revokeToken(cli: Cli, id: string): Promise<Outcome> {
  const link = await admin(cli);
  if (!link.ok) return link;
  const revoked = await link.value.call("tokens.revoke", { id });
  return revoked.ok ? ok({ data: { id }, text: `${id} is revoked, and its connections are closed.\n` }) : revoked;
}
