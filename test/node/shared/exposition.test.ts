import * as fc from "fast-check";
import { expect, it } from "vitest";
import { definitionOf, metrics, modelFamily, type MetricName, type Sample } from "#src/contract/metrics.ts";
import { ChatStatus } from "#src/contract/chats.ts";
import { AttemptEnd, DeathReason, TaskState } from "#src/contract/tasks.ts";
import { toExposition } from "#src/shared/exposition.ts";

const names = Object.keys(metrics) as MetricName[];

/** Values of each series in Prometheus text. */
function parse(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(" ");
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

function labels(name: MetricName): readonly string[] {
  return Object.values(definitionOf(name).labels)[0] ?? [];
}

it("the declared labels hold all values of the types they show", () => {
  expect(labels("shim_chats")).toEqual(ChatStatus.options);
  expect(labels("shim_dead_tasks")).toEqual(DeathReason.options);
  expect(["done", ...labels("shim_task_attempts_total")].toSorted()).toEqual(AttemptEnd.options.toSorted());
  const states = [...labels("shim_tasks").filter((state) => state !== "ended"), "done", "cancelled"];
  expect(states.toSorted()).toEqual(TaskState.options.toSorted());
});

it("the name of a metric ends in its unit, and that of a counter in _total", () => {
  for (const name of names) {
    const { type, unit } = definitionOf(name);
    expect(name.endsWith("_total")).toBe(type === "counter");
    if (unit !== null) expect(name.replace(/_total$/, "").endsWith(`_${unit}`)).toBe(true);
    expect(name).toMatch(/^shim_[a-z0-9_]+$/);
  }
});

it("whatever a label holds, the text has only declared values and loses nothing", async () => {
  const label = fc.oneof(fc.string(), fc.constantFrom("killed", "claude-code", "busy", "done", 'a"b', "c\nd"));
  const sample = fc.record({
    name: fc.constantFrom(...names.filter((name) => definitionOf(name).type !== "histogram")),
    value: fc.nat(1_000),
    labels: fc.dictionary(fc.constantFrom("cause", "client", "activity", "state", "kind", "id"), label),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(sample, { maxLength: 30 }), async (samples) => {
      const series = parse(await toExposition(samples));
      for (const name of new Set(samples.map((one) => one.name))) {
        const own = [...series].filter(([key]) => key === name || key.startsWith(`${name}{`));
        const sum = samples.filter((one) => one.name === name).reduce((all, { value }) => all + value, 0);
        expect(own.reduce((all, [, value]) => all + value, 0)).toBe(sum);
        const declared = definitionOf(name).labels;
        for (const [key] of own)
          for (const [, found = "", value = ""] of key.matchAll(/(\w+)="([^"]*)"/g))
            expect([...(declared[found] ?? []), "other"]).toContain(value);
      }
    }),
  );
});

it("the buckets of a histogram rise to its count, and its sum is that of the observations", async () => {
  const bucket = { name: "shim_save_duration_seconds", labels: {} } as const;
  const buckets: Sample[] = [
    { ...bucket, bucket: 0.005, value: 3, sum: 0.01 },
    { ...bucket, bucket: 0.1, value: 1, sum: 0.09 },
    { ...bucket, bucket: null, value: 2, sum: 20 },
  ];
  const series = parse(await toExposition(buckets));
  const upTo = (bound: string) => series.get(`shim_save_duration_seconds_bucket{le="${bound}"}`);
  expect(["0.0025", "0.005", "0.05", "0.1", "5", "+Inf"].map(upTo)).toEqual([0, 3, 3, 4, 4, 6]);
  expect(series.get("shim_save_duration_seconds_count")).toBe(6);
  expect(series.get("shim_save_duration_seconds_sum")).toBeCloseTo(20.1);
});

it("a model becomes its family, and an unknown one other", () => {
  const models = ["claude-opus-5-5", "claude-sonnet-5", "gpt-6-codex", "llama-9", ""];
  expect(models.map(modelFamily)).toEqual(["opus", "sonnet", "gpt", "other", "other"]);
});
