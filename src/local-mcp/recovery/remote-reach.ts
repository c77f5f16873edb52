import type { OpenedLink } from "../link/open-link.ts";
import type { Runtime } from "../runtime.ts";
import * as devices from "../sync/device.ts";
import { readKeys } from "../sync/key-ring.ts";
import type { SyncCall } from "../sync/sync-call.ts";
import type { Reach } from "./remote-find.ts";

/** A checkpoint of a megabyte may be on its way for long, in ms. */
const patienceMs = 30_000;

/**
 * The other machines of the workspace, as a chat that has joined it reaches them. Null: this machine's own file decides, or this machine has no key
 * of the workspace, so that there is nothing to read.
 */
export function reachOf(runtime: Runtime, opened: OpenedLink, asking: string): Reach | null {
  const { link, place, workspace, machine } = opened;
  if (place === null) return null;
  const keys = readKeys(runtime.paths.home, place, runtime.env);
  if (!keys.ok || keys.value === null) return null;
  const call: SyncCall = (name, input) => link.call(name, input, patienceMs);
  const device = runtime.store.read(devices.get, null)?.device ?? null;
  return { runtime, link, mirror: { runtime, call, workspace, keys: keys.value, device }, asking, machine };
}
