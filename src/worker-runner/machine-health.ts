import { cpus } from "node:os";
import type { Health } from "../contract/chats.ts";
import type { Clock } from "../coordinator-client/edge/trust.ts";
import { share as memoryShare } from "../platform/memory.ts";

export interface CpuTimes {
  readonly busyMs: number;
  readonly allMs: number;
}

function systemCpuTimes(): CpuTimes {
  const all = cpus().map(({ times }) => times);
  const idleMs = all.reduce((sum, { idle }) => sum + idle, 0);
  const allMs = all.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return { busyMs: allMs - idleMs, allMs };
}

export class MachineHealth {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #cpuTimes: () => CpuTimes;
  readonly #memory: () => number | null;
  readonly #startedAt: number;
  #lastTimes: CpuTimes;

  constructor(clock: Pick<Clock, "monotonic">, cpuTimes = systemCpuTimes, memory: () => number | null = memoryShare) {
    this.#clock = clock;
    this.#cpuTimes = cpuTimes;
    this.#memory = memory;
    this.#startedAt = clock.monotonic();
    this.#lastTimes = cpuTimes();
  }

  check(): Health {
    const previous = this.#lastTimes;
    this.#lastTimes = this.#cpuTimes();
    const allMs = this.#lastTimes.allMs - previous.allMs;
    const cpu = allMs > 0 ? (this.#lastTimes.busyMs - previous.busyMs) / allMs : null;
    const memory = this.#memory();
    return {
      ...(cpu === null ? {} : { cpu: Math.min(1, Math.max(0, cpu)) }),
      ...(memory === null ? {} : { memory }),
      uptimeMs: Math.round(this.#clock.monotonic() - this.#startedAt),
    };
  }
}
