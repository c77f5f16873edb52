import { ms } from "../figures.ts";
import { missed, targets, type Outcome } from "./run.ts";

/** A Markdown table: one attack to a line. */
export function stressTable(outcomes: readonly Outcome[]): string {
  const head = "| attack | accepted | refused, closed | neighbour p50 | p99 | memory | folder | storage | |";
  const lines = outcomes.map((outcome) => {
    const { attack, tally, undisturbedP50, p50, p99, memory, folder, storage } = outcome;
    const ratio = `${(p50 / undisturbedP50).toFixed(2)} x (${ms(undisturbedP50)} before)`;
    const stored = storage ? `${mb(storage.bytes)} of ${mb(storage.limitBytes)}, ${storage.state}` : "no answer";
    const failed = missed(outcome);
    return `| ${attack} | ${tally.accepted} | ${refusalsOf(tally)} | ${ratio} | ${ms(p99)} | ${mb(memory)} | ${mb(folder)} | ${stored} | ${failed.length === 0 ? "reached" : `MISSED: ${failed.join(", ")}`} |`;
  });
  const goal = `Targets: p50 at most ${targets.p50Ratio} x of the same run's undisturbed one, p99 at most ${targets.p99Ms} ms, memory at most ${targets.memoryMb} MB above idle.`;
  return [head, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |", ...lines, "", goal].join("\n");
}

function refusalsOf({ refused, closed }: Outcome["tally"]): string {
  const all = [...Object.entries(refused), ...Object.entries(closed)];
  return all.map(([code, count]) => `${code} ${count}`).join(", ") || "none";
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
