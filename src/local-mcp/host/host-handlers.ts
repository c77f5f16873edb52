import { RunningHost } from "../../contract/machine/host.ts";
import { ok } from "../../shared/result.ts";
import { askHost } from "./machine-host.ts";
import type { HandlerContext, Handlers, HostResult } from "./host.ts";

export const hostHandlers = {
  "host.status": (context) => runningHost(context, "GET", "/status"),
  "host.stop": (context) => runningHost(context, "POST", "/stop"),
} satisfies Partial<Handlers>;

/** @returns the host as it was when it was asked */
export async function runningHost(
  context: Pick<HandlerContext, "paths">,
  ...[method, path]: ["GET", "/status"] | ["POST", "/stop"]
): Promise<HostResult<{ host: RunningHost | null }>> {
  const asked = await askHost(context.paths.home, method, path);
  return asked.ok ? ok({ host: RunningHost.nullable().parse(asked.value) }) : asked;
}
