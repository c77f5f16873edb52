import { onTestFinished } from "vitest";
import { given } from "#harness/coordinator/state-calls.ts";
import type { InputOf } from "#src/contract/operations.ts";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { type OpenSocket, type Platform, nodePlatform } from "#src/coordinator-client/edge/platform.ts";

/** The client as it is shipped, on the real network, registered. */
export async function realEdgeClient(
  edge: string,
  token: string,
  chat: string,
  more: Partial<InputOf<"chats.register">> = {},
  hasSockets = true,
): Promise<WorkspaceClient> {
  const platform = nodePlatform();
  const openSocket: Platform["openSocket"] = hasSockets ? platform.openSocket : refuseSocket;
  const opened = WorkspaceClient.open({ edge, workspace: "team", token }, { ...platform, openSocket });
  if (!opened.ok) throw new Error(opened.error);
  const client = opened.value;
  onTestFinished(() => client.close());
  client.connect();
  given(await client.register({ chat, session: chat, process: chat, machine: "admin", client: "test", ...more }));
  return client;
}

/** As where a proxy blocks them. */
const refuseSocket: OpenSocket = (_url, _headers, { onClose }) => {
  setImmediate(() => onClose(1006, "no socket was opened"));
  return { send: () => undefined, close: () => undefined };
};
