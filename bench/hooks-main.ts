/**
 * `npm run bench -- hooks`: what SHIM's hooks cost in the real clients, as the client waits for them, and what a tool call takes
 * from one request of the client to its next, with SHIM and without it. `--before <dist>` measures another build of SHIM as well, in turns.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { median } from "simple-statistics";
import { startScriptedModel, type Step } from "../test/harness/claude/scripted-model.ts";
import { hookTimesOf, timedClients, timeHooks, type TimedClient } from "./hook-timer.ts";
import { otherClients } from "./restore/other-clients.ts";
import { RestoreRig } from "./restore/restore-rig.ts";

const { values } = parseArgs({
  options: {
    turns: { type: "string", default: "10" },
    rounds: { type: "string", default: "1" },
    before: { type: "string" },
    client: { type: "string", multiple: true, default: [...timedClients] },
  },
});
const [turns, rounds] = [Number(values.turns), Number(values.rounds)];
const chosen = timedClients.filter((client) => values.client.includes(client));
if (chosen.length < values.client.length || !Number.isInteger(turns) || turns < 2 || !(rounds >= 1)) {
  console.error(
    `npm run bench -- hooks [--turns N] [--rounds N] [--before <dist>] [--client ${timedClients.join("|")}]...`,
  );
  process.exit(2);
}

interface Costs {
  /** Of the hooks in ms, by event. */
  readonly hooks: Map<string, number[]>;
  /** Of the tool calls in ms. */
  readonly calls: number[];
}

/** Builds of SHIM; null: the client alone. */
const builds = {
  "without SHIM": null,
  ...(values.before === undefined ? {} : { before: resolve(values.before) }),
  "with SHIM": undefined,
} as const;

async function measure(name: TimedClient, dist: string | undefined | null, { hooks, calls }: Costs): Promise<void> {
  const client = otherClients[name];
  const rig = RestoreRig.make({ "one.ts": "value = 0;\n" });
  const arrivals: number[] = [];
  const model = await startScriptedModel({
    threads: [{ steps: stepsIn(client.tools(rig.project), `${rig.project}/one.ts`) }],
    onRequest: () => void arrivals.push(performance.now()),
  });
  try {
    if (dist === null) client.prepare(rig);
    else {
      client.setUp(rig);
      timeHooks(name, rig, dist);
    }
    const chat = client.start({ ...rig.folders, cwd: rig.project, modelUrl: model.url, resumed: null });
    for (let turn = 0; turn < turns; turn++) {
      arrivals.splice(0);
      await chat.turn(`Please do part ${turn + 1}.`);
      // The first turn loads what the others have.
      if (turn > 0) calls.push(...arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? 0)));
    }
    await chat.finish();
    for (const [event, times] of hookTimesOf(rig)) hooks.set(event, [...(hooks.get(event) ?? []), ...times]);
  } finally {
    await model.close();
    await rig.remove();
  }
}

type Tools = ReturnType<(typeof otherClients)[TimedClient]["tools"]>;

function stepsIn(tools: Tools, path: string): Step[] {
  return Array.from({ length: turns }, (_, turn) => [
    { tools: [tools.shell(`echo ${turn}`)] },
    { tools: [tools.read(path)] },
    { tools: [tools.edit(path, `value = ${turn};`, `value = ${turn + 1};`)] },
    { text: "That part is done." },
  ]).flat();
}

process.once("exit", () => RestoreRig.removeAll());
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
const rounded = (times: readonly number[]): string =>
  times.length === 0 ? "-" : `${median([...times]).toFixed(0)} ms (${times.length})`;
const row = (...cells: readonly string[]): void => console.log(`| ${cells.join(" | ")} |`);
row("client", "median (n) of", ...Object.keys(builds));
row(...Array.from({ length: 2 + Object.keys(builds).length }, () => "---"));
for (const name of chosen) {
  const costs = Object.values(builds).map((dist) => ({ dist, hooks: new Map<string, number[]>(), calls: [] }));
  for (let round = 0; round < rounds; round++) for (const one of costs) await measure(name, one.dist, one);
  const { title, pinned } = otherClients[name];
  for (const event of new Set(costs.flatMap(({ hooks }) => [...hooks.keys()])))
    row(`${title} ${pinned.version}`, event, ...costs.map(({ hooks }) => rounded(hooks.get(event) ?? [])));
  row(`${title} ${pinned.version}`, "a tool call", ...costs.map(({ calls }) => rounded(calls)));
}
