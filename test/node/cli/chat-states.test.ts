import { expect, it } from "vitest";
import type { FleetRow } from "#src/contract/machine/page.ts";
import { stateText, waitingProgress, type ShownState } from "#src/contract/chat-state.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { addSession, holding, ids, aSeededHome, type CliHome } from "#harness/machine/cli-home.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { aChat, sync, twoCliHomes } from "#harness/machine/cli-machines.ts";
import type { Io } from "#src/cli/io.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";

const minuteMs = 60_000;

function textIn(all: unknown): string {
  return (all as ShownState[]).map(stateText).join();
}

it("a session of another machine is what that machine and the coordinator say, and silence alone is no death", async () => {
  const { server, there, here } = await twoCliHomes(() => undefined);
  there.alive.add(200);
  addSession(there, { id: ids.dead, pid: 200, title: "fix the parser" });
  await sync(there);
  const shown = async (): Promise<string> => textIn((await here.json("sessions --all-machines"))["sessions"]);
  const pass = (ms: number): void => {
    for (const home of [there, here]) home.now += ms;
    server.host.wait(ms);
  };
  pass(5 * minuteMs);
  expect(await shown()).toBe("idle (no sign of life for 5 min)");
  pass(6 * minuteMs);
  expect(await shown()).toBe("stuck (no sign of life for 11 min)");
  const silent = /bbbb2222 {2}\S+ {2}fix the parser {2}stuck \(no sign of life for 11 min\) on desk/;
  expect((await here.shim("up --once")).out).toEqual(holding("Can come back (1)", silent));
  const desk = { machine: "desk", isAdmin: false };
  const { incarnation } = given(await server.host.call("chats.register", aChat(ids.dead, "desk"), desk));
  const self = { chat: ids.dead, incarnation };
  const report = async (input: { status: "busy" | "stuck"; progress: string }): Promise<unknown> =>
    given(await server.host.call("chats.heartbeat", { self, ...input }, desk));
  await report({ status: "busy", progress: "half of it" });
  expect(await shown()).toBe("works");
  await report({ status: "busy", progress: waitingProgress.permission });
  expect(await shown()).toBe("waits for you (your permission)");
  expect(textIn((await here.json("team chats"))["chats"])).toBe("waits for you (your permission)");
  const { process } = aChat(ids.dead, "desk");
  given(await server.host.call("chats.attest-death", { chat: ids.dead, machine: "desk", process }, desk));
  expect(await shown()).toBe("died");
  there.runtime.store.write((sql) => sessions.end(sql, there.now, ids.dead, "prompt_input_exit"));
  await sync(there);
  expect(await shown()).toBe("ended (finished)");
});

function offer(home: CliHome, action: "offered" | "taken" = "offered"): void {
  home.runtime.store.write((sql) => {
    sessions.setRecovery(sql, home.now, ids.dead, "offered", ids.alive);
    recoveries.add(sql, { at: home.now, session: ids.dead, action, by: ids.alive });
  });
  home.now += 120_000;
}

/** A living chat of the project was offered the session two minutes ago. */
function anOfferedHome(): CliHome {
  const home = aSeededHome();
  offer(home);
  return home;
}

const note = "offered to chat aaaa1111, 2 min ago";

it("a session that an open chat was offered is in every list, with that chat", async () => {
  const home = anOfferedHome();
  for (const list of ["sessions --incomplete", "sessions", "up --once"])
    expect([list, (await home.shim(list)).out]).toEqual([list, holding("bbbb2222", note)]);
  expect((await home.shim("sessions")).out).toMatch(/bbbb2222 +died /);
  expect((await home.shim("doctor")).out).toContain("2 sessions died unfinished");
  addSession(home, { id: "dddd1111", pid: 500 });
  const several = (await home.shim("resume")).err;
  expect(several).toEqual(holding(`work of bbbb  died (killed; ${note})`, "work of dddd  died (killed)"));
  const { rows } = await home.json("call page.fleet");
  expect((rows as FleetRow[]).find(({ id }) => id === ids.dead)).toMatchObject({
    state: "died",
    detail: `killed; ${note}`,
  });
});

it("`shim resume` prints and continues it, says who was offered it, and that chat is notified", async () => {
  const home = anOfferedHome();
  const printed = await home.shim("resume --print");
  expect(printed).toMatchObject({ code: 0, out: holding("fix the parser"), err: holding(note) });
  const startProcess: Io["startProcess"] = async ({ args }) => {
    addSession(home, { id: args[1] ?? "", pid: 700 });
    return 0;
  };
  const ran = await home.shimWith({ isTty: true, isInteractive: true, startProcess }, "resume");
  expect(ran).toMatchObject({ code: 0, err: holding(note) });
  const given = home.runtime.store.read((sql) => news.undelivered(sql, ids.alive, 10), []);
  expect(given.map((one) => one.news)).toEqual([{ kind: "notice", text: holding(ids.dead, "is continued by chat") }]);
});

it("of a session that a living chat has taken `shim resume` says which chat, where, since when and what to do, and starts nothing", async () => {
  const home = aSeededHome();
  offer(home, "taken");
  const said = holding(
    `${ids.dead} is continued by chat aaaa1111 (`,
    "Claude Code",
    "since 2 min ago: go on there",
    "`shim resume --undo bbbb2222`",
  );
  expect(await home.shim(`resume ${ids.dead}`)).toMatchObject({ code: 0, out: holding("fix the parser"), err: said });
  expect(await home.shim(`resume ${ids.dead} --print`)).toMatchObject({ code: 0, err: said });
  const terminal = { isTty: true, isInteractive: true };
  expect(await home.shimWith(terminal, `resume ${ids.dead}`)).toMatchObject({ code: 1, out: "", err: said });
  expect(home.started).toEqual([]);
  home.alive.clear();
  expect(await home.shimWith(terminal, `resume ${ids.dead}`)).toMatchObject({ code: 0 });
  expect(home.started).toHaveLength(1);
});
