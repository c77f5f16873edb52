import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { readEdgeConfig, type EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { failed, wrongUsage } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { createWorkspace } from "./create-workspace.ts";
import { checkNames, confirmReplace, withEdgeLink } from "./edge-membership.ts";
import { completeJoin, isMoving, chooseLocalWork } from "./join-workspace.ts";
import { readLocalWork } from "./import-local-work.ts";
import { findKey, storeKey } from "./workspace-key-input.ts";

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
  const made = await createWorkspace(cli.paths.home, requestedEdge, secret);
  if (!made.ok) return made;
  const written = storeKey(cli, requestedEdge, foundKey.value.key);
  if (!written.ok) return written;
  cli.progress(
    `Workspace ${requestedEdge.workspace} is there. For another machine: \`shim edge token create --machine <name>\`.`,
  );
  const stored = readEdgeConfig(cli.paths.home);
  if (!stored.ok || stored.value === null)
    return failed("edge_unusable", "edge.json was changed meanwhile; join again.");
  const edge = stored.value;
  const found = { ...foundKey.value, isNew: true };
  const plan = { edge, found, work, isImporting: choice.value, isSynced: true, isMoving: moves };
  return withEdgeLink(edge, (link) => completeJoin(cli, { ...plan, link }));
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
