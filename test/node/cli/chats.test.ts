import { expect, it } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { aCliHome, addSession, failed, holding, ids, type CliHome } from "#harness/machine/cli-home.ts";
import { given } from "#harness/coordinator/state-calls.ts";

type Registration = Partial<InputOf<"chats.register">>;

function register(coordinator: LocalCoordinator, chat: string, pid: number, more: Registration = {}): number {
  const process = processKey({ boot: "boot-1", pid, start: `s${pid}` });
  const registered = { chat, session: chat, process, machine: "here", client: "claude-code", ...more };
  return given(coordinator.call("chats.register", registered)).incarnation;
}

/** One chat that works, one whose process is gone, one that left. */
function aTeam(): { home: CliHome; coordinator: LocalCoordinator } {
  const home = aCliHome();
  for (const pid of [700, 701, 702]) home.alive.add(pid);
  addSession(home, { id: ids.alive, pid: 700, title: "fix the parser" });
  addSession(home, { id: ids.dead, pid: 701, title: "write docs" });
  const coordinator = home.coordinator();
  register(coordinator, ids.alive, 700);
  register(coordinator, ids.dead, 701);
  const incarnation = register(coordinator, ids.finished, 702, { metadata: { title: "third" } });
  given(coordinator.call("chats.unregister", { self: { chat: ids.finished, incarnation } }));
  home.alive.delete(701);
  home.now += 2_000;
  return { home, coordinator };
}

it("chats shows the present chats by short id, title and project, and counts the absent", async () => {
  const { home } = aTeam();
  const { out } = await home.shim("team chats");
  expect(out).toMatch(/^CHAT +STATE +DETAIL +TITLE +PROJECT +MACHINE +SEEN +TASKS +CAN +PROGRESS\n/);
  expect(out).toMatch(/^aaaa1111 +works +- +fix the parser +~\/project +here /m);
  expect(out).not.toContain("write docs");
  expect(out).toContain("2 chats died or ended: `shim team chats --all`\n");
  expect((await home.json("team chats"))["chats"]).toMatchObject([{ chat: ids.alive, title: "fix the parser" }]);
});

it("with --all, or asked for, those that died or ended are listed with the reason in plain words", async () => {
  const { home } = aTeam();
  const [died, left] = [/^bbbb2222 +died +killed +write docs /m, /^cccc4444 +ended +left +third /m];
  const { out } = await home.shim("team chats --all");
  expect(out).toEqual(holding(died, left));
  expect(out).not.toContain("shim team chats --all");
  for (const [state, found, other] of [
    ["died", died, "cccc4444"],
    ["ended", left, "bbbb2222"],
  ] as const) {
    const { out: ofState } = await home.shim(`team chats --state ${state}`);
    expect(ofState).toMatch(found);
    expect(ofState).not.toContain(other);
  }
  expect((await home.shim("team chats --state stuck")).out).toBe("No chat at this machine: stuck.\n");
});

it("where all have died or ended it says so, and on a fresh machine that there are none", async () => {
  const { home } = aTeam();
  home.alive.delete(700);
  home.now += 2_000;
  expect((await home.shim("team chats")).out).toBe(
    "No chat is present.\n3 chats died or ended: `shim team chats --all`\n",
  );
  expect((await aCliHome().shim("team chats")).out).toBe("No chats at this machine.\n");
});

it("a chat may be named by the beginning of its id, and an ambiguous one is refused with titles", async () => {
  const { home, coordinator } = aTeam();
  register(coordinator, "aaaa1111-0000-4000-8000-000000000009", 700, { metadata: { title: "the other" } });
  expect(await home.shim("team send aaaa hello")).toMatchObject(
    failed(
      2,
      '"aaaa" matches several chats; give more of the id:\n',
      "  aaaa1111-0000-4000-8000-000000000001  works  fix the parser\n",
      "  aaaa1111-0000-4000-8000-000000000009  idle  the other\n",
    ),
  );
  expect(await home.codes("team send cccc hello --json", "task list --chat aaaa", "team send zzzz hello")).toEqual([
    0, 2, 3,
  ]);
});

it("a chat may be named by its title or the start of it, where one alone has it", async () => {
  const { home, coordinator } = aTeam();
  register(coordinator, "dddd1111-0000-4000-8000-000000000009", 700, { metadata: { title: "Fix the printer" } });
  for (const title of ["fix the parser", "Fix the PARSER", "fix the pr"])
    expect([title, (await home.shim("team send", title, "hello")).code]).toEqual([title, 0]);
  expect(await home.shim("team send", "fix the", "hello")).toMatchObject(failed(2, '"fix the" matches several chats'));
  expect((await home.shim("team send", "no such title", "hello")).code).toBe(3);
});

it("a team row of `up` has the title, and no colon with nothing behind it", async () => {
  const { home, coordinator } = aTeam();
  for (const progress of ["", "half of it"]) {
    given(coordinator.call("chats.heartbeat", { self: { chat: ids.alive, incarnation: 1 }, progress }));
    const row = `  aaaa1111  fix the parser  here  works${progress === "" ? "" : `: ${progress}`}\n`;
    expect((await home.shim("up --once")).out).toContain(row);
  }
});

it("a task that has ended shows no progress, one under way does", async () => {
  const { home, coordinator } = aTeam();
  const self = { chat: ids.alive, incarnation: 1 };
  given(coordinator.call("tasks.submit", { tasks: [{ type: "test" }] }));
  const { claims } = given(coordinator.call("tasks.claim", { self, requestId: "r1", limit: 1, isStarted: true }));
  const { task = 0, claim = 0 } = claims[0] ?? {};
  given(coordinator.call("tasks.heartbeat", { self, task, claim, progress: { percent: 50, note: "half of it" } }));
  expect((await home.shim("task list")).out).toMatch(/ running .* aaaa1111 .* 50 % half of it\n/);
  given(coordinator.call("tasks.ack", { self, task, claim, result: "ok" }));
  const { out } = await home.shim("task list");
  expect(out).toMatch(/ done .* -\n/);
  expect(out).not.toContain("half of it");
});

it("chats are shown with what they can do and how many tasks they take", async () => {
  const home = aCliHome();
  const client = { chat: "c1", session: "c1", process: "p1", machine: "vm", client: "test" };
  home.coordinator().call("chats.register", { ...client, capabilities: ["gpu", "docs"], capacity: 2 });
  expect((await home.shim("team chats")).out).toMatch(/TASKS +CAN +PROGRESS\nc1 .* 0\/2 +gpu, docs +-\n/);
});
