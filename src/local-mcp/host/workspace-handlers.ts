import { hostname } from "node:os";
import type { SyncState } from "../../contract/machine/workspaces.ts";
import {
  edgeConfigFromEnv,
  readEdgeConfig,
  removeEdgeConfig,
  type EdgeConfig,
} from "../../coordinator-client/edge-config.ts";
import { identify } from "../../platform/processes.ts";
import { err, ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as devices from "../sync/device.ts";
import * as joinPreferences from "../sync/join-preferences.ts";
import { readKeys } from "../sync/key-ring.ts";
import { forgetNotes, syncStatus } from "../sync/sync-status.ts";
import { recordTakeovers } from "../sync/takeover-notices.ts";
import type { Handlers, HostContext } from "./handlers.ts";
import type { HostResult, Workspace, WorkspaceAccess } from "./host.ts";

type Name = "workspace.current" | "workspace.leave" | "workspace.status" | "workspace.sync";

export const workspaceHandlers: Handlers<Name> = {
  async "workspace.current"(context) {
    const elsewhere = environmentConflict(context);
    if (elsewhere) return elsewhere;
    const edge = readEdgeConfig(context.paths.home);
    if (!edge.ok) return ok({ joined: null, problem: edge.error });
    if (edge.value === null) return ok({ joined: null, problem: null });
    const { url, workspace, adminToken } = edge.value;
    const hasSynced = (await deviceOf(context)) !== null;
    return ok({ joined: { url, workspace, hasAdminToken: adminToken !== undefined, hasSynced }, problem: null });
  },

  /** [SY74] The caller decides about the coordinator's copies; this machine keeps data and keys. */
  async "workspace.leave"(context, { forget }) {
    const elsewhere = environmentConflict(context);
    if (elsewhere) return elsewhere;
    const read = readEdgeConfig(context.paths.home);
    if (read.ok && read.value === null) return notJoined;
    const edge = read.ok ? read.value : null;
    const device = edge && forget ? await deviceOf(context) : null;
    const purged = edge && device !== null ? await purge(context, edge, device) : ok(null);
    if (!purged.ok) return purged;
    removeEdgeConfig(context.paths.home);
    const { store } = await context.runtime();
    if (store.exists()) store.write(forgetMembership);
    const left = edge ? `${edge.url}, workspace ${edge.workspace}` : "an unreadable edge.json";
    return ok({ left, purged: purged.value });
  },

  /** [SY77] Works offline, since the unsent changes are stored here. */
  async "workspace.status"(context) {
    const opened = await openWorkspace(context);
    if (!opened.ok) return opened;
    const { where } = opened.value;
    const health = await opened.value.call("health", {});
    opened.value.close();
    const edge = readEdgeConfig(context.paths.home, context.site.env);
    const sync = edge.ok && edge.value !== null ? await syncState(context, edge.value) : undefined;
    if (health.ok) return ok({ ...health.value, where, sync });
    return sync ? ok({ where, unreachable: health.error.message, sync }) : health;
  },

  async "workspace.sync"(context) {
    const edge = readEdgeConfig(context.paths.home, context.site.env);
    if (!edge.ok) return err({ code: "edge_unusable", message: edge.error });
    if (edge.value === null) return notJoined;
    const runtime = await context.runtime();
    const own = identify(runtime.processes, process.pid) ?? { boot: "unknown", pid: process.pid, start: hostname() };
    const { createSynchronizer } = await import("../sync/start-sync.ts");
    const synchronizer = createSynchronizer(runtime, own, recordTakeovers);
    const report = await synchronizer.syncNow();
    await synchronizer.stop();
    return ok({ ...report, trouble: report.trouble && { ...report.trouble } });
  },
};

/** Loaded by the commands that need it. */
async function openWorkspace(context: HostContext, edge?: WorkspaceAccess): Promise<HostResult<Workspace>> {
  const module = await import("./workspace.ts");
  return module.openWorkspace(context, edge);
}

const notJoined: HostResult<never> = err({ code: "not_found", message: "this machine has not joined a workspace." });

/** [DX4] Refuses while the environment would override the file. */
function environmentConflict({ site }: HostContext): HostResult<never> | null {
  const given = edgeConfigFromEnv(site.env);
  if (given.ok && given.value === null) return null;
  const message = "SHIM_EDGE_URL, SHIM_WORKSPACE and SHIM_TOKEN in the environment take precedence. Unset them first.";
  return err({ code: "environment_decides", message });
}

async function deviceOf(context: HostContext): Promise<string | null> {
  const { store } = await context.runtime();
  return store.read(devices.get, null)?.device ?? null;
}

function forgetMembership(sql: Sql): void {
  devices.leave(sql);
  forgetNotes(sql);
  joinPreferences.forget(sql);
}

async function purge(
  context: HostContext,
  edge: EdgeConfig,
  device: string,
): Promise<HostResult<{ readonly sessions: number; readonly checkpoints: number }>> {
  const opened = await openWorkspace(context, edge);
  if (!opened.ok) return opened;
  const purged = await opened.value.call("sync.purge", { device });
  opened.value.close();
  if (purged.ok) return purged;
  if (purged.error.code === "unknown_device") return ok({ sessions: 0, checkpoints: 0 });
  const message = `the copies were not deleted, so this machine has not left: ${purged.error.message} Without --forget it leaves, and they stay.`;
  return err({ ...purged.error, message });
}

async function syncState(context: HostContext, edge: EdgeConfig): Promise<SyncState> {
  const { store, config } = await context.runtime();
  const ring = readKeys(context.paths.home, edge, context.site.env);
  const key = ring.ok ? (ring.value?.current.id ?? null) : null;
  const isOff = store.read((sql) => joinPreferences.read(sql, edge.workspace), null)?.isSynced === false;
  const keyProblem = key === null ? "this machine has no key of the workspace; `shim join key` sets it." : null;
  const problem = isOff ? "this machine has joined with --no-sync; `shim join key` starts the sync." : keyProblem;
  return {
    key,
    device: null,
    ...store.read(syncStatus, null),
    problem: ring.ok ? problem : `${ring.error}.`,
    sendsFiles: config.sync.files,
  };
}
