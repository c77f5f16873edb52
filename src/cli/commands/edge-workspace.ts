import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { readEdge, type Edge } from "../../local-mcp/authority.ts";
import { failed, wrongUsage } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import { remote, type Coordination } from "../coordination.ts";
import { createWorkspace } from "../create-workspace.ts";
import { checkedNames, mayReplace } from "../edge-membership.ts";
import { comeIn, isMoving, whatOfLocalWork } from "../join-workspace.ts";
import { localWork } from "../local-work.ts";
import { findKey, kept } from "../workspace-key-input.ts";

/** Of `npm run dev`. */
const devPort = "8787";
export const devUrl = `http://127.0.0.1:${devPort}`;

interface UrlOptions extends Common {
  readonly url?: string;
  readonly yes?: boolean;
  readonly import?: boolean;
  readonly keep?: boolean;
}

export async function createOne(cli: Cli, options: UrlOptions, name: string): Promise<Outcome> {
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
  return createAndJoin(cli, options, { url, workspace: name, machine: hostname() }, secret);
}

async function createAndJoin(
  cli: Cli,
  options: UrlOptions,
  wanted: Pick<Edge, "url" | "workspace" | "machine">,
  secret: string,
): Promise<Outcome> {
  const found = await findKey(cli, wanted, {}, null);
  if (!found.ok) return found;
  const work = await localWork(cli);
  const choice = await whatOfLocalWork(cli, options, work);
  if (!choice.ok) return choice;
  const moves = isMoving(cli, wanted);
  const made = await createWorkspace(cli.paths.home, wanted, secret);
  if (!made.ok) return made;
  const written = kept(cli, wanted, found.value.key);
  if (!written.ok) return written;
  cli.progress(
    `Workspace ${wanted.workspace} is there. For another machine: \`shim edge token create --machine <name>\`.`,
  );
  return withEdge(cli, (edge, link) =>
    comeIn(cli, {
      edge,
      link,
      found: { ...found.value, isNew: true },
      work,
      isImporting: choice.value,
      isSynced: true,
      isMoving: moves,
    }),
  );
}

async function withEdge(cli: Cli, body: (edge: Edge, link: Coordination) => Promise<Outcome>): Promise<Outcome> {
  const edge = readEdge(cli.paths.home);
  if (!edge.ok || edge.value === null) return failed("edge_unusable", "edge.json was changed meanwhile; join again.");
  const link = remote(edge.value, edge.value.token);
  if (!link.ok) return link;
  const outcome = await body(edge.value, link.value);
  link.value.close();
  return outcome;
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

/** Whatever this machine is called in it. */
function isDevServer(url: string, ports: readonly (string | undefined)[]): boolean {
  const { protocol, hostname: host, port, pathname } = new URL(url);
  const isHere = protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(host);
  return isHere && pathname === "/" && ports.includes(port);
}
