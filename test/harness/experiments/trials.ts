import type { MachineTrial, NewTrial } from "#src/contract/learning.ts";
import { isRunning } from "#src/learning/experiments/trials.ts";
import { endTrial, get, list, setOff, start } from "#src/machine/learning/machine-trials.ts";
import type { Runtime } from "#src/runtime/runtime.ts";

export function startTrial(runtime: Runtime, key: string, to: number, replay: NewTrial["replay"] = null): MachineTrial {
  const started = start(runtime, { key, to, reason: "to see", replay }, "kaizen");
  if (!started.ok) throw new Error(started.error.message);
  return started.value;
}

/** As a person does. @returns null where nothing is left to end */
export function endByHand(runtime: Runtime, id: string, isRevert = false): MachineTrial | null {
  const ended = endTrial(runtime, id, isRevert, "by hand", "command line");
  if (ended?.ok === false) throw new Error(ended.error.message);
  return ended?.value ?? null;
}

export function stopAll(runtime: Runtime): void {
  setOff(runtime, runtime.now(), "command line");
  for (const { id } of runtime.store.read((sql) => list(sql), []).filter(isRunning)) endByHand(runtime, id);
}

export function reload(runtime: Runtime, { id }: Pick<MachineTrial, "id">): MachineTrial {
  const stored = runtime.store.read((sql) => get(sql, id), null);
  if (!stored) throw new Error(`no trial ${id}`);
  return stored;
}
