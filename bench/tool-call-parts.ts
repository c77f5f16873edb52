import { mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import Database from "better-sqlite3";
import { claudeBinary } from "../scripts/install-claude.ts";
import { untilFound } from "../test/harness/claude/claude-code.ts";
import { hostsOf } from "#harness/machine/process-tree.ts";
import { emptyServer, hooksOf, oneSession } from "./mcp-server.ts";
import { needed, sample, scaled } from "./measure.ts";

const calls = scaled(1_000, 4);
/** Calls of the sessions without SHIM, which are compared with it. */
const peerCalls = scaled(200, 4);
const events = ["PreToolUse", "PostToolUse"] as const;

/**
 * A stream of calls of the real Claude Code, and where each ms of one goes: in ms, p50 of calls,
 * averages of their parts. The tap between client and front adds a hop of its own to `shim`.
 *
 * @param args `--profile <folder>`: the processor profiles of front and host, for a flame graph
 */
export async function toolCallParts(args: readonly string[]) {
  needed(claudeBinary);
  const [flag, folder] = args;
  if (flag !== undefined && (flag !== "--profile" || folder === undefined))
    throw new RangeError("tool-call-parts takes --profile <folder>, or nothing.");
  const tap = join(tmpdir(), "tap.json");
  const profile = folder === undefined ? null : resolve(folder);
  if (profile !== null) mkdirSync(profile, { recursive: true });
  const none = await oneSession({}, { calls: peerCalls });
  const empty = await oneSession(hooksOf([await emptyServer(), "hooks"]), { calls: peerCalls });
  const front = [process.execPath, "dist/mcp.cjs"].map((one) => resolve(one));
  let host = { beforeAnswer: NaN, processor: NaN };
  const shim = await oneSession(hooksOf([resolve("bench/tap.ts"), ...front]), {
    calls,
    env: {
      SHIM_BENCH_TAP: tap,
      ...(profile !== null && { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` }),
    },
    ended: async (home) => {
      host = await partsOfHost(home);
    },
  });
  const notes = JSON.parse(readFileSync(tap, "utf8")) as [string, number][];
  // Averages, as the host keeps them.
  const answered = events.map((event) => mean(notes.filter(([name]) => name === event).map(([, ms]) => ms)));
  const way = answered.reduce((sum, one) => sum + one, 0);
  const [call, alone] = [p50(shim), p50(none)];
  return {
    call,
    p99: sample(shim).p99,
    none: alone,
    empty: p50(empty),
    /** From the request of the client to the answer of the front, both events. */
    way,
    /** Of it the host, until it has answered; the rest are front, pipes and socket. */
    hostBeforeAnswer: host.beforeAnswer,
    frontAndPipes: way - host.beforeAnswer,
    /** What is no wait for the front: hooks within the client, and the shares of the processor. */
    client: mean(shim) - mean(none) - way,
    hostProcessor: host.processor,
    frontProcessor: (notes.at(-1)?.[1] ?? NaN) / calls,
  };
}

function mean(times: readonly number[]): number {
  return times.reduce((sum, one) => sum + one, 0) / times.length;
}

function p50(times: readonly number[]): number {
  return sample(times).p50;
}

/** Both events of a call: ms until the answer, on average, and ms of the processor. Ends the host. */
async function partsOfHost(home: string): Promise<{ beforeAnswer: number; processor: number }> {
  const [host] = hostsOf(home);
  if (host === undefined) throw new Error(`no host serves ${home}`);
  const fields = readFileSync(`/proc/${host.pid}/stat`, "utf8").split(") ")[1]?.split(" ").slice(11, 13) ?? [];
  const processor = fields.reduce((sum, ticks) => sum + Number(ticks) * 10, 0) / calls;
  process.kill(host.pid, "SIGTERM");
  await untilFound(() => hostsOf(home).length === 0, `the end of host ${host.pid}`);
  const db = new Database(join(home, "shim.db"), { readonly: true });
  const totals = db
    .prepare<[], { labels: string; sum: number; value: number }>(
      "SELECT labels, sum(sum) AS sum, sum(value) AS value FROM metric_totals WHERE name = 'shim_hook_duration_seconds' GROUP BY labels",
    )
    .all();
  db.close();
  const ofEvents = totals.filter(({ labels }) => events.some((event) => labels === JSON.stringify([event])));
  return { beforeAnswer: ofEvents.reduce((sum, one) => sum + (one.sum * 1_000) / one.value, 0), processor };
}
