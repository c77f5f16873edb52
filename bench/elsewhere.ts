import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ms, ratio, sample, timed, type Row, type Sample } from "./figures.ts";
import { connect, type Stdio } from "./stdio-client.ts";
import { mostMs, SyncRig, type Machine } from "./sync-rig.ts";

const rounds = Math.min(10, Number(process.env["SHIM_BENCH_ROUNDS"] ?? 10));
/** The least that a workspace may say: what is waited for then is the rest. */
const settings = { chatTtlMs: 5_000, interactiveGraceMs: 0, workerGraceMs: 0, lostSocketGraceMs: 0 };
/** How often it is asked whether a wait is over, in ms. */
const askEveryMs = 50;
const group = "elsewhere";

type Times = Record<"gone" | "free" | "nothing" | "known" | "brief" | "take" | "bare", number>;

/** A chat on one machine is killed, and one on another goes on with its session. */
export async function benchElsewhere(folder: string): Promise<Row[]> {
  const rig = await SyncRig.open(join(folder, "elsewhere"));
  try {
    await rig.edge.call("settings.set", { settings });
    const times: Times[] = [];
    for (let round = -1; round < rounds; round++) {
      const origin = rig.origin(`project-${round}`);
      const one = await goneOn(
        rig,
        await rig.machine(`there-${round}`, origin),
        await rig.machine(`here-${round}`, origin),
      );
      if (round >= 0) times.push(one);
    }
    return rowsOf(times);
  } finally {
    await rig.close();
  }
}

async function goneOn(rig: SyncRig, there: Machine, here: Machine): Promise<Times> {
  const { server, session } = await aSession(rig, there);
  const heir = await connect(["dist/mcp.cjs"], here.env);
  const { project } = here;
  try {
    // It is one of the team, and knows how the workspace calls its project.
    await heir.call("shim_chats", {});
    await briefOf(heir, project);
    const nothing = await timed(() => briefOf(heir, project));
    const killed = performance.now();
    process.kill(server.pid, "SIGKILL");
    const isGone = async (): Promise<boolean> =>
      (await rig.edge.call("chats.get", { chat: session })).status === "offline";
    const gone = await since(killed, isGone);
    let brief = NaN;
    const known = await since(killed, async () => {
      let found = "";
      brief = await timed(async () => void (found = await briefOf(heir, project)));
      return found.includes(session);
    });
    const free = await since(killed, async () => {
      const { leases } = await rig.edge.call("leases.list", { prefix: `session:${session}` });
      return leases.length === 0;
    });
    const take = await timed(() => heir.call("shim_check_recovery", { project, of: session, take: true }));
    const bare = await rig.roundTrip(here);
    return { gone, free, nothing, known, brief, take, bare };
  } finally {
    await Promise.all([server.close(), heir.close()]);
  }
}

/** @returns "" where there is nothing to go on with */
async function briefOf(chat: Stdio, project: string): Promise<string> {
  const { brief } = await chat.call("shim_check_recovery", { project });
  return typeof brief === "string" ? brief : "";
}

/** One of the team, and all that it has saved is at the coordinator. */
async function aSession(rig: SyncRig, machine: Machine): Promise<{ session: string; server: Stdio }> {
  const server = await connect(["dist/mcp.cjs"], machine.env);
  const { project } = machine;
  const work = { project, goal: "the parser", nextStep: "the lexer", files: [join(project, "one.ts")] };
  const { session, checkpoint } = await server.call("shim_force_checkpoint", work);
  await server.call("shim_chats", {});
  await rig.untilReadable(machine, String(checkpoint));
  return { session: String(session), server };
}

/** @returns ms from then on until it is so */
async function since(start: number, isSo: () => Promise<boolean>): Promise<number> {
  while (!(await isSo())) {
    if (performance.now() - start > mostMs) throw new Error(`not within ${mostMs} ms`);
    await pause(askEveryMs);
  }
  return performance.now() - start;
}

function both({ p50, p99 }: Sample): string {
  return `${ms(p50)} / ${ms(p99)}`;
}

function rowsOf(times: readonly Times[]): Row[] {
  const of = (name: keyof Times): Sample => sample(times.map((one) => one[name]));
  const [bare, brief] = [of("bare"), of("brief")];
  return [
    {
      group,
      name: "shim_check_recovery that answers with the brief of another machine's session, p50 / most",
      figure: both(brief),
      against: `the same call while that chat lives ${both(of("nothing"))}; bare HTTP round trip ${both(bare)}: ${ratio(brief.p50 / bare.p50)}`,
    },
    {
      group,
      name: "the call that takes it, p50 / most",
      figure: both(of("take")),
      against: `${ratio(of("take").p50 / bare.p50)} the round trip`,
    },
    {
      group,
      name: "from kill -9 until the other machine's chat has the brief, p50 / most",
      figure: both(of("known")),
      against: "the graces of the workspace are 0 here",
    },
    {
      group,
      name: "waiting: from kill -9 until the coordinator counts the chat as gone, p50 / most",
      figure: both(of("gone")),
      against: `interactiveGraceMs and lostSocketGraceMs ${settings.lostSocketGraceMs}`,
    },
    {
      group,
      name: "waiting: from kill -9 until its session is free to be taken, p50 / most",
      figure: both(of("free")),
      against: `its lease lives for chatTtlMs, ${settings.chatTtlMs}, here`,
    },
  ];
}
