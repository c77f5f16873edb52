import { onTestFinished } from "vitest";
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
  value(await client.register({ chat, session: chat, process: chat, machine: "admin", client: "test", ...more }));
  return client;
}

/** What was asked for; a refusal fails the test. */
export function value<T>(result: { ok: true; value: T } | { ok: false; error: { message: string } }): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}
