import { resolve } from "node:path";
import type { Lease } from "../../../contract/leases.ts";
import type { Self } from "../../../contract/values.ts";
import { overlap } from "../../../contract/resource-paths.ts";
import { ok } from "../../../shared/result.ts";
import { readEdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { localWorkspace } from "../../../coordinator-client/open-link.ts";
import { age } from "../../../shared/format.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { projectRoot } from "../../../local-mcp/sessions/git-head.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import { readProjectFacts } from "../../../local-mcp/sync/find-project.ts";
import { projectKey } from "../../../local-mcp/sync/project-key.ts";
import { toLeasePath, resolveLinks } from "../../../local-mcp/team/lease-paths.ts";
import * as filesTable from "../../../local-mcp/team/reservation-table.ts";
import { createNaming, type Naming } from "../../../local-mcp/team/chat-naming.ts";
import { failed, wrongUsage, type FailedResult, type CliResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";

export interface FileScope {
  readonly runtime: Runtime;
  readonly link: Workspace;
  readonly naming: Naming;
  readonly workspace: string;
  readonly root: string;
  readonly prefix: string;
}

export interface ReservationView {
  readonly path: string;
  readonly chat: string;
  readonly name: string | null;
  readonly machine: string | null;
  readonly heldForMs: number;
  readonly resource: string;
}

/** @param isReadOnly [CL8] makes no store just to keep the project's name for its hooks */
export async function fileScope(
  cli: Cli,
  link: Workspace,
  isReadOnly: boolean,
  folder: string,
): Promise<CliResult<FileScope>> {
  const root = projectRoot(folder);
  if (root === null) return wrongUsage(`${folder} is not in a project: run this in a project's folder.`);
  const edge = readEdgeConfig(cli.paths.home, cli.io.env);
  if (!edge.ok) return failed("edge_unusable", edge.error);
  const runtime = await cli.runtime();
  const workspace = edge.value?.workspace ?? localWorkspace;
  const naming = createNaming(runtime, { workspace, machine: link.machine, edge: edge.value });
  const isUnkept = isReadOnly && edge.value === null && !runtime.store.exists();
  const project = isUnkept ? ok(await projectName(cli, link, root)) : await naming.project(root);
  if (!project.ok) return failed("no_key", `the project has no name in the workspace: ${project.error}.`);
  return ok({ runtime, link, naming, workspace, root, prefix: `file:${project.value}/` });
}

async function projectName({ io }: Cli, { machine }: Workspace, root: string): Promise<string> {
  return projectKey(null, await readProjectFacts(io.env, root, machine));
}

/** @param given paths as typed, relative to the current folder */
export function toResources(cli: Cli, scope: FileScope, given: readonly string[]): CliResult<string[]> {
  const resources = new Set<string>();
  for (const one of given) {
    const path = toLeasePath(scope.root, resolve(cli.io.cwd, one));
    if (!path.ok) return wrongUsage(`${path.error}.`);
    resources.add(scope.prefix + resolveLinks(scope.root, path.value));
  }
  return ok([...resources]);
}

export async function listLeases(scope: FileScope, holder?: string): Promise<CliResult<Lease[]>> {
  const listed = await scope.link.list("leases.list", { prefix: scope.prefix, ...omitUndefined({ holder }) });
  return listed.ok ? ok(listed.value.leases) : listed;
}

/** [FI28] Acquires all or none. A lease that this chat already has is renewed. */
export async function reserve(
  scope: FileScope,
  self: Self,
  resources: readonly string[],
  ttlMs: number,
): Promise<CliResult<Lease[]>> {
  const heldLeases = await listLeases(scope, self.chat);
  if (!heldLeases.ok) return heldLeases;
  const reserved: Lease[] = [];
  const granted: Lease[] = [];
  for (const resource of resources) {
    const before = heldLeases.value.find((lease) => lease.resource === resource);
    const reservation = before ? await renew(scope, self, before, ttlMs) : await acquire(scope, self, resource, ttlMs);
    if (!reservation.ok) {
      for (const lease of granted) await releaseLease(scope, self, lease);
      return reservation;
    }
    reserved.push(reservation.value);
    if (!before) granted.push(reservation.value);
  }
  storeReservations(scope, reserved);
  return ok(reserved);
}

function renew({ link }: FileScope, self: Self, { resource, token }: Lease, ttlMs: number): Promise<CliResult<Lease>> {
  return link.call("leases.renew", { self, resource, token, ttlMs });
}

async function acquire(scope: FileScope, self: Self, resource: string, ttlMs: number): Promise<CliResult<Lease>> {
  const requestId = Buffer.from(scope.runtime.random(16)).toString("hex");
  const answer = await scope.link.call("leases.acquire", { self, resource, requestId, ttlMs });
  if (!answer.ok) return answer.error.code === "lease_held" ? heldFailure(scope, self, resource, answer) : answer;
  return answer.value.state === "granted"
    ? ok(answer.value.lease)
    : failed("lease_held", "other requests are waiting for it.");
}

async function heldFailure(
  scope: FileScope,
  self: Self,
  resource: string,
  refused: FailedResult,
): Promise<FailedResult> {
  const leases = await listLeases(scope);
  const blockingLease = leases.ok ? leases.value.find((lease) => overlap(lease.resource, resource)) : undefined;
  if (!blockingLease) return refused;
  if (blockingLease.holder === self.chat) {
    const path = blockingLease.resource.slice(scope.prefix.length);
    return failed("lease_held", `the command line has already reserved ${path}, which overlaps. Release that first.`);
  }
  const { path, name, machine } = await toView(scope, blockingLease);
  const who = [
    name === null ? null : `"${name}"`,
    `chat ${blockingLease.holder}`,
    machine === null ? null : `on ${machine}`,
  ];
  const since = `for ${age(blockingLease.heldForMs)}`;
  const ask = `Ask with \`shim team send ${blockingLease.holder} "..."\``;
  return failed("lease_held", `${path} is reserved by ${who.filter(Boolean).join(", ")}, ${since}. ${ask}.`);
}

export async function releaseLease(
  scope: FileScope,
  self: Self,
  { resource, token }: Lease,
): Promise<CliResult<unknown>> {
  const released = await scope.link.call("leases.release", { self, resource, token });
  if (released.ok) scope.runtime.store.write((sql) => filesTable.remove(sql, resource, self.chat));
  return released;
}

/** Hooks of this machine's chats read these at once, its other processes a moment later. */
function storeReservations({ runtime, workspace, link, root }: FileScope, leases: readonly Lease[]): void {
  const now = runtime.now();
  const row = { workspace, holderName: "the user, by the command line", machine: link.machine, checkout: root };
  runtime.store.write((sql) => {
    for (const { resource, holder, heldForMs } of leases)
      filesTable.upsert(sql, now, { ...row, resource, holder, since: now - heldForMs });
  });
}

export async function toView(scope: FileScope, { resource, holder, heldForMs }: Lease): Promise<ReservationView> {
  const { runtime, link, naming, prefix } = scope;
  const base = { path: resource.slice(prefix.length), chat: holder, heldForMs, resource };
  const holderChat = await link.call("chats.get", { chat: holder });
  const session = runtime.store.read((sql) => sessions.get(sql, holder), null);
  const own = session && sessions.displayTitle(session);
  if (!holderChat.ok) return { ...base, name: own, machine: null };
  return {
    ...base,
    name: own ?? naming.titleOf(holderChat.value) ?? holderChat.value.client,
    machine: holderChat.value.machine,
  };
}
