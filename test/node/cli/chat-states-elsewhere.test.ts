import { expect, it } from "vitest";
import { stateText, waitingProgress, type ShownState } from "#src/contract/chat-state.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { addSession, holding, ids } from "#harness/machine/cli-home.ts";
import { aChat, sync, twoCliHomes } from "#harness/machine/cli-machines.ts";

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

it("a session that was closed on another machine with nothing open has not died", async () => {
  const { server, there, here } = await twoCliHomes(() => undefined);
  addSession(there, { id: ids.dead, pid: 200, title: "fix the parser" });
  there.runtime.store.write((sql) => sessions.close(sql, there.now, ids.dead, "closed"));
  await sync(there);
  for (const home of [there, here]) home.now += 11 * minuteMs;
  server.host.wait(11 * minuteMs);
  const { sessions: all } = await here.json("sessions --all-machines");
  expect(textIn(all)).toBe("ended (closed with nothing open)");
  expect((await here.shim("up --once")).out).not.toEqual(holding("fix the parser"));
});
