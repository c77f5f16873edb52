import type { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { HeldLease, HoldOptions } from "#src/coordinator-client/edge/leases.ts";
import { ofType, value, type TestClient } from "./edge-clients.ts";
import type { FakeEdge } from "./fake-edge.ts";

/** What all the chats want. */
export const resource = "r";

export async function held(
  edge: FakeEdge,
  { client }: { client: WorkspaceClient },
  wanted: Partial<Parameters<WorkspaceClient["hold"]>[0]> = {},
  options: HoldOptions = {},
): Promise<HeldLease> {
  return value(await edge.time.until(client.hold({ resource, ttlMs: 30_000, ...wanted }, options)));
}

/** By the coordinator, at this instant. */
export async function isHeld(edge: FakeEdge, right: HeldLease): Promise<boolean> {
  const checked = await edge.host.call("leases.check", { resource: right.name, token: right.token });
  return value(checked).isValid;
}

/** States of leases, oldest first. */
export function rightsOf(made: Pick<TestClient, "events">): string[] {
  return ofType(made, "right").map(({ name, state }) => `${name} ${state}`);
}
