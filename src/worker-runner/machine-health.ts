import { cpus } from "node:os";
import type { Health } from "../contract/chats.ts";
import type { Clock } from "../coordinator-client/edge/trust.ts";
import { share as memoryShare } from "../platform/memory.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";

function systemCpuTimes(): { readonly busyMs: number; readonly allMs: number } {
  const all = cpus().map(({ times }) => times);
  const idleMs = all.reduce((sum, { idle }) => sum + idle, 0);
  const allMs = all.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return { busyMs: allMs - idleMs, allMs };
}

/** @returns reads the machine's health, with its cores since the last reading */
export function machineHealth(
  { monotonic }: Pick<Clock, "monotonic">,
  cpuTimes = systemCpuTimes,
  memoryInUse: () => number | null = memoryShare,
): () => Health {
  const startedAt = monotonic();
  let last = cpuTimes();
  return () => {
    const previous = last;
    last = cpuTimes();
    const allMs = last.allMs - previous.allMs;
    const cpu = allMs > 0 ? Math.min(1, Math.max(0, (last.busyMs - previous.busyMs) / allMs)) : undefined;
    const memory = memoryInUse() ?? undefined;
    return { ...omitUndefined({ cpu, memory }), uptimeMs: Math.round(monotonic() - startedAt) };
  };
}
