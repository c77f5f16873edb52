import type { SyncState } from "../../../contract/machine/workspaces.ts";
import { readEdgeConfig, removeEdgeConfig, type EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import * as devices from "../../sharing/device.ts";
import * as joinPreferences from "../../sharing/join-preferences.ts";
import { clearWrongKey, forgetNotes, syncKeys, syncStatus } from "../../sharing/sync-status.ts";
import type { OperationContext } from "../../context/operation-context.ts";
import type { Handlers } from "../../recovery/handler-context.ts";
import {
  environmentConflict,
  lossText,
  notJoined,
  requireEdge,
  onWorkspace,
  syncNow,
} from "../../sharing/operations/membership.ts";

/** Few commands need keys and joining, so these are loaded by them. */
const joining = () => import("../../sharing/operations/join-workspace.ts");

export const workspaceHandlers = {
  "workspace.adopt": async (context, { key }) => (await joining()).adoptKey(context, key),

  "workspace.create": async (context, input) => (await joining()).createWorkspace(context, input),

  async "workspace.current"(context) {
    const elsewhere = environmentConflict(context);
    if (elsewhere) return elsewhere;
    const edge = readEdgeConfig(context.paths.home);
    if (!edge.ok) return ok({ joined: null, problem: edge.error });
    if (edge.value === null) return ok({ joined: null, problem: null });
    const { url, workspace } = edge.value;
    const hasSynced = (await deviceOf(context)) !== null;
    return ok({ joined: { url, workspace, hasSynced, loss: lossText(edge.value) }, problem: null });
  },

  "workspace.join": async (context, input) => (await joining()).joinWorkspace(context, input),

  "workspace.key": async (context) => (await joining()).showKey(context),

  /** The caller decides about the coordinator's copies; this machine keeps data and keys. */
  async "workspace.leave"(context, { forget }) {
    const elsewhere = environmentConflict(context);
    if (elsewhere) return elsewhere;
    const read = readEdgeConfig(context.paths.home);
    if (read.ok && read.value === null) return notJoined;
    const edge = read.ok ? read.value : null;
    const device = edge && (await deviceOf(context));
    const purged = edge && forget ? await purge(context, edge, device) : ok(null);
    if (!purged.ok) return purged;
    removeEdgeConfig(context.paths.home);
    const { store, now } = await context.runtime();
    if (store.exists())
      store.write((sql) => {
        devices.leave(sql, purged.value === null);
        forgetNotes(sql);
        clearWrongKey(sql, now());
        joinPreferences.forget(sql);
      });
    const left = edge ? `${edge.url}, workspace ${edge.workspace}` : "an unreadable edge.json";
    return ok({ left, purged: purged.value, leavesCopies: device !== null && !forget });
  },

  "workspace.pull": async ({ runtime, others }, { after }) => others.fetch(await runtime(), after),

  "workspace.rekey": async (context) => (await joining()).changeKey(context),

  "workspace.renew-tokens": async (context) => (await joining()).renewTokens(context),

  /** Works offline, since the unsent changes are stored here. */
  async "workspace.status"(context) {
    const asked = await onWorkspace(context, undefined, async (workspace) =>
      ok({ where: workspace.where, health: await workspace.call("health", {}) }),
    );
    if (!asked.ok) return asked;
    const { where, health } = asked.value;
    const edge = readEdgeConfig(context.paths.home, context.site.env);
    const sync = edge.ok && edge.value !== null ? await syncState(context, edge.value) : undefined;
    if (health.ok) return ok({ ...health.value, where, sync });
    return sync ? ok({ where, unreachable: health.error.message, sync }) : health;
  },

  async "workspace.sync"(context) {
    const edge = requireEdge(context);
    return edge.ok ? syncNow(context, edge.value) : edge;
  },
} satisfies Partial<Handlers>;

async function deviceOf(context: OperationContext): Promise<string | null> {
  const { store } = await context.runtime();
  return store.read(devices.get, null)?.device ?? null;
}

async function purge(
  context: OperationContext,
  edge: EdgeConfig,
  device: string | null,
): Promise<Result<{ readonly sessions: number; readonly checkpoints: number }>> {
  const purged = await onWorkspace(context, edge, async (workspace) => {
    const ended = await workspace.call("boxes.end", {});
    if (!ended.ok || device === null) return ended.ok ? ok({ sessions: 0, checkpoints: 0 }) : ended;
    return workspace.call("sync.purge", { device });
  });
  if (purged.ok) return purged;
  // A deleted workspace has none.
  if (purged.error.code === "unknown_workspace") return ok({ sessions: 0, checkpoints: 0 });
  const message = `the copies were not deleted, so this machine has not left: ${purged.error.message} Without --forget it leaves, and they stay.`;
  return err({ ...purged.error, message });
}

export async function syncState(context: OperationContext, edge: EdgeConfig): Promise<SyncState> {
  const { store, config } = await context.runtime();
  const keys = syncKeys({ store, paths: context.paths, env: context.site.env }, edge);
  return {
    key: keys.ok ? keys.value.current.id : null,
    problem: keys.ok ? null : `${keys.error.message}.`,
    sendsFiles: config.sync.files,
    status: store.read(syncStatus, null),
  };
}
