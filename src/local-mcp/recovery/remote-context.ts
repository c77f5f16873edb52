import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as devices from "../sync/device.ts";
import { readKeys } from "../sync/key-ring.ts";
import type { Call } from "../../coordinator-client/coordinator-client.ts";
import type { RemoteContext } from "./remote-candidates.ts";

/** A checkpoint of a megabyte may take long. */
const callTimeoutMs = 30_000;

/** Returns null if this machine's own file decides, or it has no key of the workspace. */
export function remoteContext(runtime: Runtime, opened: OpenedLink, chatId: string): RemoteContext | null {
  const { link, edge, workspace, machine } = opened;
  if (edge === null) return null;
  const keys = readKeys(runtime.paths.home, edge, runtime.env);
  if (!keys.ok || keys.value === null) return null;
  const call: Call = (name, input) => link.call(name, input, callTimeoutMs);
  const device = runtime.store.read(devices.get, null)?.device ?? null;
  return { runtime, link, mirror: { runtime, call, workspace, keys: keys.value, device }, chatId, machine };
}
