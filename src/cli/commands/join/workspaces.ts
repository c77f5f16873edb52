import { readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import * as z from "zod";
import {
  readEdgeConfig,
  type EdgeConfig,
  writeEdgeConfig,
  isSameWorkspace,
  type EdgeWorkspace,
} from "../../../coordinator-client/edge-config.ts";
import { failed, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { checkNames, confirmReplace } from "./membership.ts";
import { completeJoin, isMoving, chooseLocalWork, readLocalWork } from "./join-workspace.ts";
import { findKey, saveKey, type FoundKey } from "./workspace-key-input.ts";
import { WireError } from "../../../contract/wire-error.ts";
import { newId } from "../../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../../coordinator-client/edge/node-platform.ts";
import { ok } from "../../../shared/result.ts";
import { Id } from "../../../contract/values.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";

const devPort = "8787";
export const devUrl = `http://127.0.0.1:${devPort}`;

interface UrlOptions extends CommonOptions {
  readonly url?: string;
  readonly yes?: boolean;
  readonly import?: boolean;
  readonly keep?: boolean;
}

export async function createOne(cli: Cli, options: UrlOptions, name: string): Promise<CommandResult> {
  const url = options.url ?? devUrl;
  const checked = checkNames(url, name);
  if (!checked.ok) return checked;
  const replaceRefusal = await confirmReplace(cli, options, { url, workspace: name });
  if (replaceRefusal) return replaceRefusal;
  const secret = adminSecret(cli, url);
  if (secret === null) {
    return wrongUsage(
      "making a workspace needs the secret of the deployment in SHIM_ADMIN_SECRET (`npm run deploy` has shown it; `npm run dev` keeps it in .dev.vars).",
    );
  }
  return createAndJoin(cli, options, { url, workspace: name, machine: hostname() }, secret);
}

async function createAndJoin(
  cli: Cli,
  options: UrlOptions,
  requestedEdge: Pick<EdgeConfig, "url" | "workspace" | "machine">,
  secret: string,
): Promise<CommandResult> {
  const foundKey = await findKey(cli, requestedEdge, {}, null);
  if (!foundKey.ok) return foundKey;
  const work = await readLocalWork(cli);
  const choice = await chooseLocalWork(cli, options, work);
  if (!choice.ok) return choice;
  const moves = isMoving(cli, requestedEdge);
  const made = await createWorkspace(cli, requestedEdge, secret, foundKey.value);
  if (!made.ok) return made;
  cli.progress(
    `Workspace ${requestedEdge.workspace} is ready. For another machine: \`shim join token create --machine <name>\`.`,
  );
  const stored = readEdgeConfig(cli.paths.home);
  if (!stored.ok || stored.value === null)
    return failed("edge_unusable", "edge.json was changed meanwhile; join again.");
  const edge = stored.value;
  const found = { ...foundKey.value, isNew: true };
  const plan = { edge, found, work, isImporting: choice.value, isSynced: true, isMoving: moves };
  return cli.withWorkspace((link) => completeJoin(cli, { ...plan, link }), edge);
}

/** The development server's secret lies beside it; elsewhere only the environment has one. */
function adminSecret(cli: Cli, url: string): string | null {
  const given = cli.io.env["SHIM_ADMIN_SECRET"];
  if (given) return given;
  if (!isDevServer(url, [devPort, cli.io.env["SHIM_DEV_PORT"]])) return null;
  try {
    return parseEnv(readFileSync(join(cli.io.cwd, ".dev.vars"), "utf8"))["SHIM_ADMIN_SECRET"] || null;
  } catch {
    return null;
  }
}

function isDevServer(url: string, ports: readonly (string | undefined)[]): boolean {
  const { protocol, hostname: host, port, pathname } = new URL(url);
  const isHere = protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(host);
  return isHere && pathname === "/" && ports.includes(port);
}

/** [CL32] Creates and joins a workspace; idempotent. @param secret of the deployment */
async function createWorkspace(
  cli: Cli,
  edge: Pick<EdgeConfig, "url" | "workspace" | "machine">,
  secret: string,
  foundKey: FoundKey,
): Promise<CliResult<void>> {
  const { home } = cli.paths;
  const requestId = startRequest(home, edge, () => newId(nodePlatform()));
  const adminToken = await firstToken(edge, secret, requestId);
  if (!adminToken.ok) {
    if (adminToken.error.code === "workspace_exists") finishRequest(home, edge);
    return adminToken;
  }
  const admin = await cli.workspace({ ...edge, token: adminToken.value });
  if (!admin.ok) return admin;
  // Before any machine has a token: none can be first with another key.
  const saved = await saveKey(cli, edge, admin.value, foundKey);
  if (!saved.ok) return saved;
  const { machine } = edge;
  // The machine may have another name by the next try.
  const named = `${requestId}:${machine.replaceAll(/[^\w.-]/g, "-").slice(0, 80)}`;
  const machineToken = await admin.value.call("tokens.create", { machine, scope: "work", requestId: named });
  if (!machineToken.ok) return machineToken;
  writeEdgeConfig(home, { ...edge, token: machineToken.value.token, adminToken: adminToken.value });
  finishRequest(home, edge);
  return ok(undefined);
}

async function firstToken(
  { url, workspace }: Pick<EdgeConfig, "url" | "workspace">,
  secret: string,
  requestId: string,
): Promise<CliResult<string>> {
  const answer = await postWorkspace(url, secret, { workspace, requestId });
  if (!answer)
    return failed("edge_unreachable", `${url} does not answer. Is the coordinator running (\`npm run dev\`)?`);
  const body = (await answer.json().catch(() => null)) as { token?: unknown; error?: unknown } | null;
  if (answer.ok && typeof body?.token === "string") return ok(body.token);
  const error = WireError.safeParse(body?.error);
  if (!error.success) return failed("edge_unreachable", `${url} answered ${answer.status}, and is not a coordinator.`);
  const { code, message } = error.data;
  return failed(
    code,
    code === "unauthenticated" ? "SHIM_ADMIN_SECRET is not the secret of this deployment." : `${message}.`,
  );
}

async function postWorkspace(url: string, secret: string, body: object): Promise<Response | null> {
  try {
    return await fetch(`${url.replace(/(?<!\/)\/+$/, "")}/v1/workspaces`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "error",
      signal: AbortSignal.timeout(15_000),
    });
  } catch {
    return null;
  }
}

/** [CL32] Private: with the deployment's secret, a request id is worth the workspace's token. */
const Requests = z.array(z.strictObject({ url: z.string(), workspace: z.string(), requestId: Id }));
type Requests = z.infer<typeof Requests>;

export function unfinishedFile(home: string): string {
  return join(home, "edge-unfinished.json");
}

/** Reuses the id of an earlier request for the workspace; stored before it is sent. */
function startRequest(home: string, { url, workspace }: EdgeWorkspace, newId: () => string): string {
  const requests = readRequests(home);
  const known = requests.find((one) => isSameWorkspace(one, { url, workspace }));
  if (known) return known.requestId;
  const requestId = newId();
  writeRequests(home, [...requests, { url, workspace, requestId }]);
  return requestId;
}

function finishRequest(home: string, edge: EdgeWorkspace): void {
  const rest = readRequests(home).filter((one) => !isSameWorkspace(one, edge));
  if (rest.length > 0) writeRequests(home, rest);
  else rmSync(unfinishedFile(home), { force: true });
}

/** A damaged file counts as empty: it only spares making another workspace. */
function readRequests(home: string): Requests {
  try {
    return Requests.parse(JSON.parse(readFileSync(unfinishedFile(home), "utf8")));
  } catch {
    return [];
  }
}

function writeRequests(home: string, requests: Requests): void {
  createPrivateFolder(home);
  writeAtomically(unfinishedFile(home), `${JSON.stringify(requests, null, 2)}\n`);
}
