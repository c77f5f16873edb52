import { expect, it } from "vitest";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import { trialsKey } from "#src/contract/trials.ts";
import { listNewest } from "#src/local-mcp/audit/machine-audit.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { aHomeOnEdge } from "#harness/machine/cli-machines.ts";
import { pastChats } from "#harness/experiments/past-chats.ts";
import { aCliHome, aSeededHome, failed, printed, type CliHome } from "#harness/machine/cli-home.ts";

const dayMs = 86_400_000;

async function idOf(home: CliHome): Promise<string> {
  const { experiments } = (await home.json("learn experiments")) as { experiments: { id: string }[] };
  return experiments.at(-1)?.id ?? "";
}

/** One of three chats does all the tasks. */
function loadUnevenly(home: CliHome, count: number): void {
  const coordinator = home.coordinator();
  for (const pid of [701, 702, 703]) home.alive.add(pid);
  const register = (pid: number) => {
    const process = processKey({ boot: "boot-1", pid, start: `s${pid}` });
    const chat = { chat: `c${pid}`, session: `c${pid}`, process, machine: "here", client: "claude-code", capacity: 10 };
    return { chat: chat.chat, incarnation: given(coordinator.call("chats.register", chat)).incarnation };
  };
  const [self] = [701, 702, 703].map(register);
  if (!self) throw new Error("no chat is registered");
  for (let at = 0; at < count; at += 5) {
    given(coordinator.call("tasks.submit", { tasks: Array.from({ length: 5 }, () => ({ type: "build" })) }));
    const { claims } = given(coordinator.call("tasks.claim", { self, requestId: `r${home.now}`, limit: 5 }));
    home.now += 10_000;
    for (const { task, claim } of claims) given(coordinator.call("tasks.ack", { self, task, claim }));
  }
}

it("[EX93] a person tries a value in the workspace: it is in force at once, listed, shown, stopped and reverted", async () => {
  const home = aSeededHome();
  expect(await home.shim("learn experiments start balancingIntervalMs 900")).toMatchObject(
    failed(2, "between 1000 and"),
  );
  expect(await home.shim("learn experiments start balancingIntervalMs 20000")).toMatchObject(failed(2, "factor of 2"));
  expect(await home.shim("learn experiments start balancingIntervalMs 5000")).toMatchObject(failed(2, "5000 already"));
  expect(await home.shim("learn experiments start balancingIntervalMs 2500 --reason", "to see")).toMatchObject(
    printed("deployed", "watched for a week"),
  );
  const id = await idOf(home);
  expect((await home.shim("team settings get balancingIntervalMs")).out).toBe("2500\n");
  expect(await home.shim("learn experiments")).toMatchObject(
    printed(id, "balancingIntervalMs: 5000 -> 2500", "deployed"),
  );
  expect(await home.shim(`learn experiments show ${id.slice(0, 6)}`)).toMatchObject(
    printed("Why: to see", "deployed: "),
  );
  expect(await home.shim("learn experiments start startDeadlineMs 20000")).toMatchObject(
    failed(1, id, "Stop it first"),
  );
  expect(await home.shim(`learn experiments stop ${id}`)).toMatchObject(printed("rolled back", "stopped by hand"));
  expect((await home.shim("team settings get balancingIntervalMs")).out).toBe("5000\n");
  expect(await home.shim(`learn experiments revert ${id}`)).toMatchObject(failed(1, "has ended: rolled back"));
  expect(await home.shim("learn experiments stop ws_none")).toMatchObject(failed(3, "shim learn experiments"));
  expect(listNewest(home.runtime, 5).map(({ kind, subject }) => [kind, subject])).toEqual([
    ["experiment.stopped", id],
    ["experiment.started", id],
  ]);
});

it("[EX93] a kept value is reverted, and one that was changed since stays", async () => {
  const home = aCliHome();
  const keep = async (): Promise<string> => {
    await home.shim("learn experiments start balancingIntervalMs 2500");
    const { entries } = (await home.json("team state list", trialsKey)) as OutputOf<"state.list">;
    const [{ trials } = { trials: [] }] = entries.map(({ value }) => value as { trials: object[] });
    const [trial] = trials;
    const kept = { offSince: null, trials: [{ ...trial, state: "kept" }] };
    await home.shim("team state set", trialsKey, JSON.stringify(kept));
    return idOf(home);
  };
  const first = await keep();
  expect(await home.shim(`learn experiments stop ${first}`)).toMatchObject(failed(1, "has ended: kept"));
  expect(await home.shim(`learn experiments revert ${first}`)).toMatchObject(printed("rolled back"));
  expect((await home.shim("team settings get balancingIntervalMs")).out).toBe("5000\n");
  const second = await keep();
  await home.shim("team settings set balancingIntervalMs 8000");
  expect(await home.shim(`learn experiments revert ${second}`)).toMatchObject(printed("is 8000 meanwhile, and stays"));
  expect((await home.shim("team settings get balancingIntervalMs")).out).toBe("8000\n");
});

it("[EX93] a step after which a dead chat may be noticed later is taken only where a person says so", async () => {
  const home = aCliHome();
  const risky = "learn experiments start chatTtlMs 45000";
  expect(await home.shim(risky)).toMatchObject(failed(1, "noticed later", "--less-safe"));
  expect(await home.shim(`${risky} --less-safe`)).toMatchObject(printed("chatTtlMs is 45000 for all"));
});

it("[EX95] `stop --all` takes the workspace's value back, and no machine starts one until it is allowed", async () => {
  const home = aCliHome();
  await home.shim("learn experiments start balancingIntervalMs 2500");
  expect(await home.shim("learn experiments stop --all")).toMatchObject(printed("1 experiment stopped"));
  expect((await home.shim("team settings get balancingIntervalMs")).out).toBe("5000\n");
  expect(await home.shim("learn experiments start balancingIntervalMs 2500")).toMatchObject(failed(1, "switched off"));
  expect(await home.shim("learn run --dry-run")).toMatchObject(printed("Workspace: Trials are switched off."));
  expect(await home.shim("learn experiments allow")).toMatchObject(printed("may start again.\n"));
  expect(await home.shim("learn experiments start balancingIntervalMs 2500")).toMatchObject(printed("deployed"));
});

it("[EX95] without the coordinator the machine's own trials are listed and stopped, and it is said what to do", async () => {
  const home = aSeededHome();
  pastChats(home.runtime);
  await home.shim("learn experiments start checkpoint.everyMs 250000");
  home.join("http://127.0.0.1:1");
  const advice = "Repeat the command once the coordinator answers";
  expect(await home.shim("learn experiments")).toMatchObject(printed("checkpoint.everyMs", "are not listed: ", advice));
  expect(await home.shim("learn experiments stop ws_00000000")).toMatchObject(failed(1, "did not answer", advice));
  expect(await home.shim("learn experiments stop --all")).toMatchObject(printed("1 experiment stopped", advice));
  expect(await home.shim("learn experiments allow")).toMatchObject(printed("may start again", advice));
  expect(await home.shim("learn run --dry-run")).toMatchObject(printed("Workspace: Not reviewed: "));
  expect(await home.shim("learn report")).toMatchObject(printed("Trials of the workspace are not known: "));
});

it("[EX95] [EX90] on an edge a value needs the admin token, and the answer says so @night", async () => {
  const home = await aHomeOnEdge(false);
  expect(await home.shim("learn experiments start balancingIntervalMs 2500")).toMatchObject(failed(1, "admin token"));
  expect((await home.shim("team settings get balancingIntervalMs")).out).toBe("5000\n");
  const admin = await aHomeOnEdge();
  expect(await admin.shim("learn experiments start balancingIntervalMs 2500")).toMatchObject(printed("deployed"));
  expect((await admin.shim("team settings get balancingIntervalMs")).out).toBe("2500\n");
  expect(await admin.shim("learn experiments stop --all")).toMatchObject(printed("1 experiment stopped"));
  expect((await admin.shim("team settings get balancingIntervalMs")).out).toBe("5000\n");
});

it("[EX90] [EX96] the review of a real record says what it would do and does it once; the week's report has it @night", async () => {
  const home = aSeededHome();
  loadUnevenly(home, 80);
  const would = "Workspace: Would simulate balancingIntervalMs = 2500, and set it if it is better.";
  expect(await home.shim("learn run --dry-run")).toMatchObject(printed(would, "kaizen apply"));
  expect((await home.shim("team state list shim/")).out).toBe("No keys.\n");
  await home.shim("config set kaizen apply");
  home.runtime.config.kaizen = "apply";
  expect(await home.shim("learn run")).toMatchObject(
    printed(/Workspace: ws_[0-9a-f]{8}: balancingIntervalMs = 2500, /),
  );
  expect((await home.shim("team settings get balancingIntervalMs")).out).toBe("5000\n");
  expect(await home.shim("learn experiments")).toMatchObject(printed("decided: "));
  expect(await home.shim("learn report")).toMatchObject(
    printed("`balancingIntervalMs` of the workspace 5000 -> 2500: simulated", "uneven_load:balancingIntervalMs"),
  );
  home.now += dayMs;
  expect(await home.shim("learn run")).toMatchObject(printed("Workspace: Nothing to try."));
});

it("[EX97] replay compares settings of the workspace by its own tasks, and says where they do not matter @night", async () => {
  const home = aCliHome();
  expect(await home.shim("learn replay workspace")).toMatchObject(printed("nothing to compare"));
  loadUnevenly(home, 10);
  expect(await home.shim("learn replay workspace")).toMatchObject(
    printed(
      "balancingIntervalMs: 5000 -> 10000",
      "chatTtlMs: 30000 -> 15000",
      "too few to say",
      "looks better than it is",
    ),
  );
  const { tasks, chats, variants } = await home.json("learn replay workspace --set chatTtlMs=60000");
  expect([tasks, chats]).toEqual([10, 3]);
  expect(variants).toMatchObject([{ key: "chatTtlMs", from: 30_000, value: 60_000, comparison: { blocks: 2 } }]);
  home.now += 60_000;
  loadUnevenly(home, 340);
  expect(await home.shim("learn replay workspace --set chatTtlMs=60000")).toMatchObject(
    printed("350 tasks and 3 chats", "chatTtlMs: 30000 -> 60000", "does not matter", "None of these values"),
  );
  expect(await home.shim("learn replay workspace --set maxKeys=5")).toMatchObject(
    failed(2, "chatTtlMs", "balancingIntervalMs"),
  );
  expect(await home.shim("learn replay workspace --set chatTtlMs=soon")).toMatchObject(failed(2, "no such value"));
});
