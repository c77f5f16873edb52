/**
 * `npm run bench -- hooks`: what a chat waits for with SHIM and without it, in the real clients: from a prompt to the client's first
 * request, from one request to the next (a tool call), from the last answer to the end of the turn, and the whole turn.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { messageOf } from "../src/shared/error.ts";
import { startScriptedModel, type Step } from "../test/harness/claude/scripted-model.ts";
import { CannotMeasureError } from "./cannot-measure.ts";
import { ratio, sample, printTable, type Row } from "./figures.ts";
import { hookClientNames, hookClients, shim, without, type Arm, type HookClient } from "./hook-clients.ts";
import { RestoreRig } from "./restore/restore-rig.ts";
import { scaled } from "./size.ts";

const { values } = parseArgs({
  options: {
    turns: { type: "string", default: String(scaled(10, 2)) },
    rounds: { type: "string", default: String(scaled(3)) },
    files: { type: "string", default: "1" },
    client: { type: "string", multiple: true, default: [...hookClientNames] },
  },
});
const [turns, rounds, files] = [Number(values.turns), Number(values.rounds), Number(values.files)];
const chosen = hookClientNames.filter((client) => values.client.includes(client));
if (chosen.length < values.client.length || !Number.isInteger(turns) || turns < 2 || !(rounds >= 1) || !(files >= 1)) {
  throw new CannotMeasureError(
    `npm run bench -- hooks [--turns N] [--rounds N] [--files N] [--client ${hookClientNames.join("|")}]...`,
  );
}
const missing = chosen.flatMap((name) => whyMissing(hookClients[name]) ?? []);
if (missing.length > 0)
  throw new CannotMeasureError(`${missing.join("\n")}\nWith --client it measures those that are there.`);

const measures = { prompt: "a prompt", call: "a tool call", end: "the end of a turn", turn: "a whole turn" } as const;
type Measure = keyof typeof measures;
type Times = Record<Measure, number[]>;

const hookServer = join(tmpdir(), "empty-hook-server.mjs");

const projectFiles = Object.fromEntries([
  ["one.ts", "value = 0;\n"],
  ...Array.from(
    { length: files - 1 },
    (_, at) => [`lib/${at % 40}/file${at}.ts`, `export const n${at} = ${at};\n`] as const,
  ),
]);

/** @returns how to install the client; null: it is there */
function whyMissing({ program }: HookClient): string | null {
  try {
    program();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

async function measure(client: HookClient, arm: Arm, times: Times): Promise<void> {
  const rig = RestoreRig.make(projectFiles, client.shimHome);
  const arrivals: number[] = [];
  const steps = stepsIn(client, rig.project);
  const model = await startScriptedModel({
    threads: [{ steps }],
    onRequest: () => void arrivals.push(performance.now()),
  });
  try {
    const chat = client.start(rig, model.url, arm, hookServer);
    for (let turn = 0; turn < turns; turn++) {
      arrivals.splice(0);
      const asked = performance.now();
      await chat.turn(`Please do part ${turn + 1}.`);
      const ended = client.turnEnd?.(rig) ?? performance.now();
      // The first turn loads what the others have.
      if (turn === 0) continue;
      if (client.isTyped !== true) times.prompt.push((arrivals[0] ?? NaN) - asked);
      times.call.push(...arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? NaN)));
      times.end.push(ended - (arrivals.at(-1) ?? NaN));
      if (client.isTyped !== true) times.turn.push(ended - asked);
    }
    await chat.finish();
    const asked = model.requests.filter(({ kind }) => kind === "loop").length;
    if (asked !== steps.length) throw new Error(`${client.title} made ${asked} requests for ${steps.length} steps`);
  } finally {
    await model.close();
    await rig.remove();
  }
}

function stepsIn(client: HookClient, project: string): Step[] {
  const path = join(project, "one.ts");
  const tools = client.tools(project);
  return Array.from({ length: turns }, (_, turn) => [
    { tools: [tools.shell(`echo ${turn}`)] },
    { tools: [tools.read(path)] },
    { tools: [tools.edit(path, `value = ${turn};`, `value = ${turn + 1};`)] },
    { text: "That part is done." },
  ]).flat();
}

function rowsOf(client: HookClient, times: ReadonlyMap<Arm, Times>): Row[] {
  return (Object.keys(measures) as Measure[]).flatMap((measured) => {
    const p50 = (arm: Arm): number => sample(times.get(arm)?.[measured] ?? []).p50;
    const common = { group: client.title, n: times.get(shim)?.[measured].length ?? 0, name: measures[measured] };
    const figure = [...times.keys()].map((arm) => `${p50(arm).toFixed(1)} ms ${arm}`).join(", ");
    if (Number.isNaN(p50(shim))) return [];
    if (client.mostRatios === undefined || measured !== "call") {
      const added = p50(shim) - p50(without);
      const most = measured === "prompt" || measured === "turn" ? undefined : client.mostAdded?.[measured];
      const goal = most === undefined ? {} : { goal: `at most ${most} ms more`, isReached: added <= most };
      return [{ ...common, figure, against: `${added.toFixed(1)} ms more`, ...goal }];
    }
    return client.mostRatios.map(([arm, most]) => {
      const growth = p50(shim) / p50(arm);
      return {
        ...common,
        figure,
        against: `${ratio(growth)} ${arm}`,
        goal: `at most ${most} x`,
        isReached: growth <= most,
      };
    });
  });
}

const source = { entryPoints: ["bench/empty-hook-server.ts"], outfile: hookServer, bundle: true };
await build({ ...source, platform: "node", format: "esm", target: "node22.16" });
const rows: Row[] = [];
for (const name of chosen) {
  const client = hookClients[name];
  const arms: Arm[] = [without, ...(client.floor === null ? [] : [client.floor]), shim];
  const times = new Map(arms.map((arm): [Arm, Times] => [arm, { prompt: [], call: [], end: [], turn: [] }]));
  for (let round = 0; round < rounds; round++) for (const [arm, list] of times) await measure(client, arm, list);
  rows.push(...rowsOf(client, times));
  console.error(`${client.title}: done`);
}
printTable(rows);
