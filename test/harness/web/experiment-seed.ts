import { pastChats } from "#harness/experiments/past-chats.ts";
import type { CliHome } from "#harness/machine/cli-home.ts";
import type { MachineTrial } from "#src/contract/learning.ts";
import { move } from "#src/learning/experiments/trials.ts";
import * as trials from "#src/machine/learning/machine-trials.ts";
import { storeRun } from "#src/machine/learning/review-schedule.ts";

/** An experiment that runs, one whose value was deployed and kept, and two opportunities. @returns ids */
export function seedExperiments({ runtime }: CliHome): { running: string; kept: string } {
  pastChats(runtime);
  const kept = begin("checkpoint.everyToolCalls", 8);
  runtime.store.write((sql) => trials.save(sql, move(kept, "kept", runtime.now(), "after 40 sessions")));
  const running = begin("checkpoint.everyMs", 250_000);
  const until = runtime.now() + 86_400_000;
  runtime.store.write((sql) => storeRun(sql, until, ["task_stalls", "task_stalls"]));
  return { running: running.id, kept: kept.id };

  function begin(key: string, to: number): MachineTrial {
    const started = trials.start(runtime, { key, to, reason: "to lose fewer calls", replay: null }, "kaizen");
    if (!started.ok) throw new Error(started.error.code);
    return started.value;
  }
}
