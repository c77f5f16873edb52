import type { LocalEdge } from "../../../scripts/local-edge.ts";

/** Id of the newest checkpoint of a session that the coordinator has; null: none. */
export async function storedCheckpoint(edge: Pick<LocalEdge, "call">, session: string): Promise<string | null> {
  const { sessions } = await edge.call("sync.list", { session });
  return sessions[0]?.checkpoint ?? null;
}
