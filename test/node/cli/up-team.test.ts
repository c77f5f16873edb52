import { expect, it } from "vitest";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "#src/coordinator-client/local/local-store.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { aCliHome, aSeededHome, holding, printed, seed, type CliHome } from "#harness/machine/cli-home.ts";
import { given } from "#harness/coordinator/state-calls.ts";

/** A chat of this machine that does a task and has reserved a folder. */
function atWork(home: CliHome): LocalCoordinator {
  const { processes } = home.runtime;
  const store = createLocalStore({ home: home.paths.home, driver: openNodeSqlite, now: () => home.now, busyMs: 1_000 });
  const coordinator = new LocalCoordinator({ store, processes, machine: "here", now: () => home.now });
  home.alive.add(700);
  const process = processKey({ boot: "boot-1", pid: 700, start: "s700" });
  const chat = { chat: "c0ffee11", session: "c0ffee11", process, machine: "here", client: "claude-code" };
  const { incarnation } = given(coordinator.call("chats.register", chat));
  const self = { chat: chat.chat, incarnation };
  given(coordinator.call("tasks.submit", { tasks: [{ type: "test" }, { type: "lint" }] }));
  const { claims } = given(coordinator.call("tasks.claim", { self, requestId: "r1", limit: 1, isStarted: true }));
  const { task = 0, claim = 0 } = claims[0] ?? {};
  given(coordinator.call("tasks.heartbeat", { self, task, claim, progress: { note: "half of it" } }));
  const resource = "file:p1/src/parser/**";
  given(coordinator.call("leases.acquire", { self, resource, requestId: "r2", isBound: true }));
  return coordinator;
}

it("[CL63] the view shows the chats, the tasks with who does them, and the files with who has them", async () => {
  const home = aCliHome();
  expect((await home.shim("up --once")).out).not.toContain("Team");
  seed(home);
  expect((await home.shim("up --once")).out).not.toContain("Team");
  atWork(home);
  expect((await home.shim("up --once")).out).toEqual(
    holding(
      "Team (this machine)\n  c0ffee11  claude-code  here  idle\n",
      "tasks: 1 queued, 1 under way, 0 done, 2 in all",
      / test {2}running by c0ffee11: half of it\n/,
      "src/parser/**  reserved by c0ffee11 for 0 s",
      "A second machine: docs/guide/two-machines.md",
    ),
  );
  expect(await home.json("up")).toMatchObject({
    team: { where: "this machine", isEdge: false, chats: [{ chat: "c0ffee11" }], files: [{ holder: "c0ffee11" }] },
  });
});

it("[CL63] a chat whose process is gone is not shown, nor what it had; the command line is no chat of the team", async () => {
  const home = aCliHome();
  atWork(home);
  home.alive.delete(700);
  home.now += 2_000;
  expect((await home.shim("send all hello")).code).toBe(0);
  const { out } = await home.shim("up --once");
  expect(out).toContain("tasks: 2 queued, 0 under way");
  expect(out).not.toMatch(/c0ffee11|shim command line|reserved/);
});

it("[CL63] outside a terminal each change of the team is a line of its own", async () => {
  const home = aSeededHome();
  const stop = new AbortController();
  let looks = 0;
  const wait = async (): Promise<void> => {
    looks += 1;
    if (looks === 1) atWork(home);
    else if (looks === 2) home.alive.delete(700);
    else stop.abort();
    home.now += 2_000;
  };
  expect((await home.shimWith({ wait, interrupted: () => stop.signal }, "up")).out).toEqual(
    holding(
      / chat c0ffee11 on here (idle|busy)/,
      / task \d+ test running by c0ffee11\n/,
      " src/parser/** reserved by c0ffee11\n",
      " chat c0ffee11 is gone\n",
    ),
  );
});

it("[CL164] a coordinator that does not answer is named, and the sessions are shown", async () => {
  const home = aSeededHome();
  writeEdgeConfig(home.paths.home, {
    url: "http://127.0.0.1:9",
    workspace: "team",
    machine: "here",
    token: "shim_t.x",
  });
  expect(await home.shim("up --once")).toMatchObject(
    printed(/Team: http:\/\/127\.0\.0\.1:9, workspace team did not answer: /, "Alive (1)"),
  );
});
