import type { LocalEdge } from "../../../scripts/local-edge.ts";

/** Id of the newest checkpoint of a session that the coordinator has; null: none. */
export async function storedCheckpoint(edge: Pick<LocalEdge, "call">, session: string): Promise<string | null> {
  const { sessions } = await edge.call("sync.list", { session });
  const [found] = sessions;
  if (!found) return null;
  const of = { device: found.device, session, kind: "checkpoint" } as const;
  const { checkpoint } = await edge.call("sync.read", of).catch(() => ({ checkpoint: null }));
  return checkpoint;
}
