/**
 * `npm run bench -- hooks`: what SHIM's hooks cost in the real clients, as the client waits for them, and what a tool call takes
 * from one request of the client to its next, with SHIM and without it.
 */
import { parseArgs } from "node:util";
import { median } from "simple-statistics";
import { startScriptedModel, type Step } from "../test/harness/claude/scripted-model.ts";
import { hookTimesOf, timedClients, timeHooks, type TimedClient } from "./hook-timer.ts";
import { otherClients } from "./restore/other-clients.ts";
import { RestoreRig } from "./restore/restore-rig.ts";

const { values } = parseArgs({
  options: {
    turns: { type: "string", default: "10" },
    client: { type: "string", multiple: true, default: [...timedClients] },
  },
});
const turns = Number(values.turns);
const chosen = timedClients.filter((client) => values.client.includes(client));
if (chosen.length < values.client.length || !Number.isInteger(turns) || turns < 2) {
  console.error(`npm run bench -- hooks [--turns N] [--client ${timedClients.join("|")}]...`);
  process.exit(2);
}

interface Costs {
  /** Of the hooks in ms, by event. */
  readonly hooks: ReadonlyMap<string, readonly number[]>;
  /** Of the tool calls in ms. */
  readonly calls: readonly number[];
}

async function costsOf(name: TimedClient, isWithShim: boolean): Promise<Costs> {
  const client = otherClients[name];
  const rig = RestoreRig.make({ "one.ts": "value = 0;\n" });
  const arrivals: number[] = [];
  const model = await startScriptedModel({
    threads: [{ steps: stepsIn(client.tools(rig.project), `${rig.project}/one.ts`) }],
    onRequest: () => void arrivals.push(performance.now()),
  });
  try {
    if (isWithShim) {
      client.setUp(rig);
      timeHooks(name, rig);
    } else client.prepare(rig);
    const calls: number[] = [];
    const chat = client.start({ ...rig.folders, cwd: rig.project, modelUrl: model.url, resumed: null });
    for (let turn = 0; turn < turns; turn++) {
      arrivals.splice(0);
      await chat.turn(`Please do part ${turn + 1}.`);
      // The first turn loads what the others have.
      if (turn > 0) calls.push(...arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? 0)));
    }
    await chat.finish();
    return { hooks: hookTimesOf(rig), calls };
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
const rounded = (times: readonly number[]): string => `${median([...times]).toFixed(0)} ms`;
console.log("| client | hook | median | n |\n| --- | --- | --- | --- |");
const lines: string[] = [];
for (const name of chosen) {
  const { title, pinned } = otherClients[name];
  const [without, withShim] = [await costsOf(name, false), await costsOf(name, true)];
  for (const [event, times] of withShim.hooks)
    console.log(`| ${title} ${pinned.version} | ${event} | ${rounded(times)} | ${times.length} |`);
  lines.push(
    `| ${title} | ${rounded(without.calls)} | ${rounded(withShim.calls)} | ${without.calls.length} + ${withShim.calls.length} |`,
  );
}
console.log(`\n| tool call in | without SHIM | with SHIM | n |\n| --- | --- | --- | --- |\n${lines.join("\n")}`);
