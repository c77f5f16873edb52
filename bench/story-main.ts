/** `npm run bench -- story`: three chats of the real Claude Code against one alone, with the waits of a model. See demo/story. */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { CLAUDE_VERSION } from "../scripts/install-claude.ts";
import { eventLine, goal, measured, seconds } from "../demo/story/report.ts";
import { playAlone, playTeam, whyNoStory, type Played } from "../demo/story/show.ts";
import type { HostName } from "../demo/story/story.ts";
import { midway } from "../demo/story/team-chat.ts";
import { boundOf } from "../demo/story/bound.ts";
import { CannotMeasureError } from "./cannot-measure.ts";
import { share } from "./size.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    /** 1: the waits of a model as they are; both runs take a quarter of an hour. */
    scale: { type: "string", default: String(share === 0 ? 0.01 : share) },
    host: { type: "string", default: "local,edge" },
  },
});
const reason = whyNoStory();
if (reason !== null) throw new CannotMeasureError(reason);
const waits = { seed: Number(values.seed), scale: Number(values.scale) };
const hosts = values.host.split(",").filter((host): host is HostName => host === "local" || host === "edge");
if (hosts.length === 0) throw new CannotMeasureError("--host takes local, edge, or both with a comma between them.");
const at = new Date().toISOString();
const shown = { onEvent: (event: Parameters<typeof eventLine>[0]) => console.error(eventLine(event)) };
const options = { waits, kill: midway, signal: new AbortController().signal, ...shown };

const bound = boundOf(waits);
console.log(`${at.slice(0, 10)}, node ${process.version}, Claude Code ${CLAUDE_VERSION}, ${JSON.stringify(waits)}`);
console.log(
  `of the waits alone: one chat ${seconds(bound.aloneMs)}, three chats ${seconds(bound.teamMs)}, ${bound.ratio.toFixed(2)} x`,
);
const runs: { readonly host: HostName; readonly played: Played }[] = [];
for (const host of hosts) {
  const played = await playTeam({ ...options, host });
  runs.push({ host, played });
  console.log(`${host}: ${seconds(played.run.doneMs)} (load ${load()})`);
}
const aloneMs = await playAlone({ ...options, host: "local" });
console.log(`one chat alone: ${seconds(aloneMs)} (load ${load()})`);
for (const { host, played } of runs) {
  const { ratio } = measured(aloneMs, played.run);
  const wrong = played.checks.filter(({ holds }) => !holds);
  console.log(`${host}: ${ratio.toFixed(2)} x (goal ${goal} x, ${ratio >= goal ? "reached" : "MISSED"})`);
  for (const { what, detail } of wrong) console.log(`  WRONG ${what}: ${detail}`);
  if (wrong.length > 0) process.exitCode = 1;
}

function load(): string {
  return (loadavg()[0] ?? 0).toFixed(1);
}
