import { build } from "esbuild";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { InMemoryProvider, OpenFeature, type Provider } from "@openfeature/server-sdk";
import { anAssignment, experiment } from "#harness/experiments/assignment-rig.ts";
import { statsigRules } from "#harness/experiments/statsig-rules.ts";
import { type Name, toName, toUnit, type Unit } from "#src/experiments/assignment/names.ts";
import { openFeatureAssigner } from "#src/experiments/assignment/open-feature.ts";
import { loadPackage, MissingPackage } from "#src/experiments/assignment/optional-package.ts";
import { statsigAssigner } from "#src/experiments/assignment/statsig.ts";

const loss = toName("loss");
const chatText = "fix the login, please";
const units = Array.from({ length: 600 }, (_, n) => toUnit("salt", `${chatText} ${n}`));

/** All requests; none reaches a network. */
const requests: { url: string; body: string }[] = [];
let answer: (url: string) => Promise<Response> = async () => Promise.reject(new Error("no network"));

beforeEach(() => {
  requests.length = 0;
  answer = async () => Promise.reject(new Error("no network"));
  vi.stubGlobal("fetch", async (url: string | URL, init?: RequestInit) => {
    requests.push({ url: String(url), body: typeof init?.body === "string" ? init.body : "" });
    return answer(String(url));
  });
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await OpenFeature.close();
});

const rulesOf = (named = true): string => statsigRules("brief-length", ["control", "short"], named);

async function armsOf(choose: (unit: Unit) => Promise<Name | null>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const unit of units) {
    const arm = String(await choose(unit));
    counts[arm] = (counts[arm] ?? 0) + 1;
  }
  return counts;
}

function expectNoText(sent: unknown): void {
  const text = JSON.stringify(sent);
  for (const word of chatText.split(/\W+/)) expect(text).not.toContain(word);
}

it.each([true, false])("[EX27] Statsig assigns from a file of rules without network, arms named: %s", async (named) => {
  const assigner = await statsigAssigner({ kind: "rules", rules: rulesOf(named) });
  const counts = await armsOf((unit) => assigner.choose(experiment, unit));
  expect(counts["null"]).toBeGreaterThan(30);
  expect(counts["null"]).toBeLessThan(90);
  expect(Math.abs((counts["control"] ?? 0) - (counts["short"] ?? 0))).toBeLessThan(90);
  expect(await armsOf((unit) => assigner.choose(experiment, unit))).toEqual(counts);
  const exposure = { experiment: experiment.name, unit: units[0] as Unit, arm: toName("short") };
  await assigner.expose(exposure);
  await assigner.record({ ...exposure, metric: loss, value: 1 });
  await assigner.flush();
  expect(requests).toEqual([]);
});

it("[EX27] rules that Statsig cannot read and experiments that it does not know are refused", async () => {
  for (const rules of ["", "{}", "none", '{"has_updates":false}']) {
    await expect(statsigAssigner({ kind: "rules", rules })).rejects.toThrow("Statsig has no rules.");
  }
  const assigner = await statsigAssigner({ kind: "rules", rules: rulesOf() });
  const other = { ...experiment, name: toName("interval") };
  await expect(assigner.choose(other, units[0] as Unit)).rejects.toThrow("does not know the experiment interval");
  expect(requests).toEqual([]);
});

it("[EX27] [EX23] live Statsig is sent hashed units, names and numbers, and later sendings follow", async () => {
  answer = async (url) => new Response(url.includes("download_config_specs") ? rulesOf() : '{"success":true}');
  const { port } = anAssignment(await statsigAssigner({ kind: "live", key: "client-key", waitMs: 1 }));
  const unit = units[3] as Unit;
  for (const value of [1, 2]) {
    await port.expose({ experiment: experiment.name, unit, arm: toName("short"), reason: "assigned" });
    await port.record({ experiment: experiment.name, unit, metric: loss, value });
    await port.flush();
  }
  const events = requests
    .filter(({ body }) => body !== "")
    .flatMap(
      ({ body }) => (JSON.parse(body) as { events: { eventName: string; user: unknown; value: unknown }[] }).events,
    )
    .filter(({ user }) => user !== null);
  expect(events.map(({ eventName, user, value }) => ({ eventName, user, value }))).toEqual([
    { eventName: "statsig::config_exposure", user: { userID: unit }, value: null },
    { eventName: "loss", user: { userID: unit }, value: 1 },
    { eventName: "loss", user: { userID: unit }, value: 2 },
  ]);
  expectNoText(requests);
});

it("[EX27] live Statsig that sends no rules within the wait is refused", async () => {
  answer = () => new Promise(() => {});
  await expect(statsigAssigner({ kind: "live", key: "client-late", waitMs: 5 })).rejects.toThrow(
    "Statsig has no rules.",
  );
});

const flag = {
  variants: { control: "control", short: "short", none: "" },
  defaultVariant: "control",
  disabled: false,
  contextEvaluator: ({ targetingKey = "" }: { targetingKey?: string }) =>
    targetingKey < "2" ? "none" : targetingKey < "9" ? "control" : "short",
};

it("[EX28] OpenFeature assigns by a provider, in a domain of its own", async () => {
  const assigner = await openFeatureAssigner(new InMemoryProvider({ "brief-length": flag }));
  const counts = await armsOf((unit) => assigner.choose(experiment, unit));
  expect(Object.keys(counts).sort()).toEqual(["control", "null", "short"]);
  await expect(assigner.choose({ ...experiment, name: toName("interval") }, units[0] as Unit)).rejects.toThrow(
    "The provider cannot answer for interval: FLAG_NOT_FOUND.",
  );
  expect(await OpenFeature.getClient().getStringValue("brief-length", "not asked")).toBe("not asked");
  await assigner.flush();
  expect(requests).toEqual([]);
});

it("[EX28] [EX23] an OpenFeature provider is given hashed units, names and numbers", async () => {
  const given: unknown[] = [];
  const provider: Provider = Object.assign(new InMemoryProvider({ "brief-length": flag }), {
    track: (...event: unknown[]) => void given.push(event),
  });
  const resolved = vi.spyOn(provider, "resolveStringEvaluation");
  const { port } = anAssignment(await openFeatureAssigner(provider));
  const unit = units.find((one) => one > "2") as Unit;
  const assignment = await port.assign(experiment, unit);
  await port.expose(assignment);
  await port.record({ experiment: experiment.name, unit, metric: loss, value: 3 });
  expect(given).toEqual([
    ["exposure", { targetingKey: unit }, { experiment: "brief-length", arm: assignment.arm }],
    ["loss", { targetingKey: unit }, { experiment: "brief-length", value: 3 }],
  ]);
  expect(resolved.mock.calls.map(([name, fallback, context]) => [name, fallback, context])).toEqual([
    ["brief-length", "", { targetingKey: unit }],
  ]);
  expectNoText([given, resolved.mock.calls.map((call) => call.slice(0, 3))]);
});

it("[EX25] [EX28] a provider that hangs or fails gives control", async () => {
  const provider = new InMemoryProvider({ "brief-length": flag });
  vi.spyOn(provider, "resolveStringEvaluation").mockImplementation(() => new Promise(() => {}));
  const { port, runOut } = anAssignment(await openFeatureAssigner(provider));
  const waiting = port.assign(experiment, units[0] as Unit);
  runOut();
  expect(await waiting).toMatchObject({ arm: "control", reason: "late" });
  vi.spyOn(provider, "resolveStringEvaluation").mockRejectedValue(new Error("no service"));
  expect(await port.assign(experiment, units[0] as Unit)).toMatchObject({ arm: "control", reason: "failed" });
});

it("[EX26] a package that is not installed is named, with the command that installs it", async () => {
  const loading = loadPackage("@statsig/not-installed", "Assignment by Statsig");
  await expect(loading).rejects.toThrow(MissingPackage);
  await expect(loading).rejects.toThrow(
    "Assignment by Statsig needs a package that is not installed: npm install @statsig/not-installed",
  );
  await expect(loadPackage("node:none", "X")).rejects.not.toThrow(MissingPackage);
});

it("[EX26] a bundle has the adapters and none of their packages", async () => {
  const contents = ["statsig", "open-feature"]
    .map((name) => `export * from "./src/experiments/assignment/${name}.ts";`)
    .join("\n");
  for (const format of ["cjs", "esm"] as const) {
    const { metafile, outputFiles } = await build({
      stdin: { contents, resolveDir: process.cwd() },
      bundle: true,
      platform: "node",
      format,
      write: false,
      metafile: true,
      minify: true,
    });
    expect(Object.keys(metafile.inputs).filter((path) => path.includes("node_modules"))).toEqual([]);
    expect(Object.values(metafile.outputs).flatMap(({ imports }) => imports)).toEqual([]);
    expect(outputFiles[0]?.text).toMatch(/import\(\w+\)/);
  }
});
