import { onTestFinished } from "vitest";
import { given } from "#harness/coordinator/state-calls.ts";
import type { InputOf } from "#src/contract/operations.ts";
import { WorkspaceClient, type EdgeOptions } from "#src/coordinator-client/client.ts";
import { nodePlatform } from "#src/coordinator-client/edge/node-platform.ts";

/** The client as it is shipped, on the real network, registered. */
export async function realEdgeClient(
  edge: string,
  token: string,
  chat: string,
  more: Partial<InputOf<"chats.register">> = {},
  transport: EdgeOptions["transport"] = "auto",
): Promise<WorkspaceClient> {
  const opened = WorkspaceClient.open({ edge, workspace: "team", token, transport }, nodePlatform());
  if (!opened.ok) throw new Error(opened.error);
  const client = opened.value;
  onTestFinished(() => client.close());
  client.connect();
  given(await client.register({ chat, session: chat, process: chat, machine: "admin", client: "test", ...more }));
  return client;
}
