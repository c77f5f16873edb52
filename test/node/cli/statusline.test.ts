import { expect, it, vi } from "vitest";
import { given } from "#harness/coordinator/peers.ts";
import { Claude, aProject, anotherClaude, storedSession } from "#harness/machine/claude.ts";
import { addSession, aSeededHome, ids, type CliHome } from "#harness/machine/cli-home.ts";
import { holding, printed, throwing, withStore } from "#harness/machine/cli-home.ts";
import { aChat, sync, twoCliHomes } from "#harness/machine/cli-rigs.ts";
import { aFront, aHost } from "#harness/machine/host-rig.ts";
import { listSamples, storedBytes, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { renderStatus } from "#src/machine/view/status-text.ts";
import type { Io } from "#src/cli/io.ts";
import { localTime } from "#src/contract/age.ts";
import { stateText, waitingProgress, type ShownState } from "#src/contract/chat-state.ts";
import type { HookEvent } from "#src/contract/hooks.ts";
import { statusOf } from "#src/machine/view/status-line.ts";
import * as life from "#src/machine/sessions/life/row.ts";
import type { Life } from "#src/contract/work-state.ts";
import * as clients from "#src/machine/sessions/clients.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import * as notices from "#src/store/notices.ts";
import { StoreError } from "#src/store/store-error.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

function input(sessionId: string, tokens = 900_000): string {
  return JSON.stringify({
    session_id: sessionId,
    model: { id: "claude-opus-5-5" },
    context_window: { context_window_size: 1_000_000, current_usage: { input_tokens: tokens } },
  });
}

function savedAt(at: number): string {
  return `saved at ${localTime(at).slice(11, 16)}`;
}

it("it shows when the chat was saved, its risk, what died, and notices made safe; it stores what the client measured", () => {
  const home = aSeededHome();
  const line = renderStatus(statusOf(home.runtime, input(ids.alive)), home.runtime.now());
  expect(line).toBe(`SHIM: ${savedAt(home.now - 60_000)} | risk 0.3 warning | 1 died\n`);
  const session = home.runtime.store.read((sql) => sessions.get(sql, ids.alive), null);
  const contextFill = { value: 0.9, source: "measured", at: home.now };
  expect(session).toMatchObject({ readings: { contextFill }, model: "claude-opus-5-5" });
  const [sample] = home.runtime.store.read((sql) => listSamples(sql, ids.alive), []);
  expect(sample).toMatchObject({ at: home.now, level: "warning" });
  home.runtime.store.write((sql) => notices.add(sql, home.now, "x", `damaged \u001b[2J ${"long ".repeat(100)}`));
  const [, notice] = renderStatus(statusOf(home.runtime, input(ids.alive)), home.runtime.now()).split("\n");
  expect(notice).toMatch(/^SHIM: damaged .*\.\.\.$/);
  expect(notice).not.toContain("\u001b");
});

it("a time is that of the reader's clock, with its day where that is another one", () => {
  const home = aSeededHome();
  const status = { ...statusOf(home.runtime, input(ids.alive)), savedMsAgo: 3_600_000 };
  const now = Date.UTC(2026, 10, 30, 18, 30);
  const savedIn = (zone: number): string | undefined => /saved (.*?) \|/.exec(renderStatus(status, now, zone))?.[1];
  expect([0, 345, -720].map(savedIn)).toEqual(["at 17:30", "on 2026-11-30 23:15", "at 05:30"]);
});

it("a chat in a second client with the same id is found by its process", () => {
  const home = aSeededHome();
  home.alive.add(900);
  const names = { givenId: "same-id", session: ids.alive };
  const runtime = { ...home.runtime, env: { ...home.runtime.env, CLAUDE_PID: "900" } };
  for (const [start, session] of Object.entries({ "that of an earlier process": null, s900: ids.alive })) {
    home.runtime.store.write((sql) => clients.moveTo(sql, home.now, { boot: "boot-1", pid: 900, start }, names));
    expect(statusOf(runtime, input("same-id")).session).toBe(session);
  }
  expect(statusOf(home.runtime, input("same-id")).session).toBeNull();
});

it("a client of an earlier boot is forgotten after a week; one of this boot stays", async () => {
  const host = await aHost();
  const { store, processes, now } = host.runtime;
  await aFront(host, { pid: 101, clientPid: 100 });
  host.runtime.wait(10_000);
  const weekAgo = now() - 7 * 86_400_000;
  const all = ["an earlier boot", processes.boot()].flatMap((boot) =>
    [weekAgo, weekAgo - 1].map((at, pid) => ({ boot, pid, start: "s", at })),
  );
  store.write((sql) => {
    for (const client of all) clients.moveTo(sql, client.at, client, { givenId: "g", session: "s" });
  });
  vi.advanceTimersByTime(2_000);
  const isKnown = all.map((client) => store.read((sql) => clients.current(sql, client) !== null, null));
  expect(isKnown).toEqual([true, false, true, true]);
});

async function statusWith(home: CliHome, changed: Parameters<typeof withStore>[1]): Promise<string> {
  const { runtime } = await withStore(home, changed).makeRuntime();
  return renderStatus(statusOf(runtime, input(ids.alive)), runtime.now());
}

it("it never fails: a busy store costs nothing, a broken one is said", async () => {
  const home = aSeededHome();
  const saved = `SHIM: ${savedAt(home.now - 60_000)} | risk 0.3 warning | 1 died\n`;
  expect(await statusWith(home, { write: throwing(new StoreError("store_locked", "busy")) })).toBe(saved);
  const full = await statusWith(home, { write: throwing(new StoreError("store_full", "full")) });
  expect(full).toBe(`SHIM: cannot save (store_full), run \`shim doctor\` | ${saved.slice(6)}`);
  const broken = await statusWith(home, { read: throwing(new Error("oops")) });
  expect(broken).toBe("SHIM: cannot save (internal error), run `shim doctor`\n");
});

const minuteMs = 60_000;
const permission = { message: "Claude needs your permission to use Bash", notification_type: "permission_prompt" };

function waiting(runtime: TempRuntime, { session }: Claude): Life["asks"] {
  return runtime.store.read((sql) => life.read(sql, session)?.asks ?? null, null);
}

function statusFor(runtime: TempRuntime, { session }: Claude): string {
  return renderStatus(statusOf(runtime, JSON.stringify({ session_id: session })), runtime.now());
}

it.each([
  [permission, "permission"],
  [{ message: "x", notification_type: "worker_permission_prompt" }, "permission"],
  [{ message: "x", notification_type: "elicitation_dialog" }, "dialog"],
  [{ message: "x", notification_type: "elicitation_url_dialog" }, "dialog"],
  [{ message: "Claude needs your choice", notification_type: "agent_needs_input" }, "dialog"],
  [{ message: "Claude is waiting for your input", notification_type: "idle_prompt" }, "prompt"],
  [{ message: "Claude needs your permission to use Bash" }, "permission"],
  [{ message: "Claude is waiting for your input" }, "prompt"],
  [{ message: "Signed in", notification_type: "auth_success" }, undefined],
  [{ message: "Claude needs your permission", notification_type: "constructor" }, undefined],
  [{}, undefined],
])("the notification %j marks the chat as waiting: %s", (fields, what) => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("deploy it");
  expect(claude.tell("Notification", fields)).toEqual({});
  expect(waiting(runtime, claude)?.for).toBe(what);
  expect(waiting(runtime, claude)?.at).toBe(what === undefined ? undefined : runtime.now());
  expect(storedBytes(runtime.paths)).not.toContain("needs your permission to use");
});

it.each(["AskUserQuestion", "ExitPlanMode"])("a call of %s marks the chat as waiting, its answer ends that", (tool) => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const second = anotherClaude(runtime, first);
  for (const claude of [first, second]) claude.prompt("plan it");
  const call = second.begin(tool, {});
  expect(waiting(runtime, second)).toEqual({ for: "dialog", at: runtime.now(), call });
  expect(statusFor(runtime, first)).toContain("| 1 waits for you");
  second.done(call, tool);
  expect(waiting(runtime, second)).toBeNull();
});

it("it counts chats that are stuck: in a turn, without work for 15 min, however many have ended, died or have no process", () => {
  const runtime = tempRuntime();
  const first = new Claude(runtime, { cwd: aProject() });
  const second = anotherClaude(runtime, first);
  second.prompt("build it");
  const { owner } = storedSession(runtime, second.session);
  runtime.wait(1);
  runtime.store.write((sql) => {
    const seen = { client: "claude-code", origin: "startup", isAlive: true };
    for (let n = 0; n < 300; n++) {
      const id = `s${n}`;
      sessions.recordSighting(sql, runtime.now(), { ...seen, id, owner: n < 200 ? owner : null });
      if (n < 100) reportEnd(sql, runtime, id, "logout");
      else if (n < 200) reportEnd(sql, runtime, id, "gone");
    }
  });
  const isCounted = (ms: number): boolean => {
    runtime.wait(ms);
    return statusFor(runtime, first).includes("| 1 stuck");
  };
  expect([isCounted(15 * minuteMs - 2), isCounted(1), isCounted(1)]).toEqual([false, true, true]);
  second.tell("Notification", { message: "Signed in", notification_type: "auth_success" });
  expect(isCounted(0)).toBe(true);
});

it.each<[HookEvent, Record<string, unknown>, boolean]>([
  ["UserPromptSubmit", { prompt: "yes" }, false],
  ["PreToolUse", { tool_name: "Bash", tool_use_id: "t1", tool_input: {} }, false],
  ["PostToolUse", { tool_name: "Bash", tool_use_id: "t1", tool_input: {} }, false],
  ["PostToolUseFailure", { tool_name: "Bash", tool_use_id: "t1", tool_input: {}, error: "no" }, false],
  ["Stop", { last_assistant_message: "Done." }, false],
  ["StopFailure", { error: "rate_limit" }, false],
  ["SessionStart", { source: "resume" }, false],
  ["SessionEnd", { reason: "logout" }, false],
  ["SubagentStop", { agent_id: "a", agent_type: "Explore" }, true],
  ["Notification", { message: "Signed in", notification_type: "auth_success" }, true],
])("%s ends the waiting or leaves it", (event, fields, isLeft) => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.prompt("deploy it");
  claude.tell("Notification", permission);
  const at = runtime.now();
  claude.tell("Notification", permission);
  expect(waiting(runtime, claude)).toEqual({ for: "permission", at });
  claude.tell(event, fields);
  expect(waiting(runtime, claude) !== null).toBe(isLeft);
});

it("a session of another machine is what that machine and the coordinator say, and silence alone is no death", async () => {
  const { server, there, here } = await twoCliHomes(() => undefined);
  there.alive.add(200);
  addSession(there, { id: ids.dead, pid: 200, title: "fix the parser" });
  await sync(there);
  const shown = async (command = "sessions --all-machines", list = "sessions"): Promise<string> =>
    ((await here.json(command))[list] as ShownState[]).map(stateText).join();
  const pass = (ms: number): void => {
    for (const home of [there, here]) home.now += ms;
    server.host.wait(ms);
  };
  pass(5 * minuteMs);
  expect(await shown()).toBe("idle (no sign of life for 5 min)");
  pass(6 * minuteMs);
  expect(await shown()).toBe("stuck (no sign of life for 11 min)");
  const silent = /bbbb2222 {2}\S+ {2}fix the parser {2}stuck \(no sign of life for 11 min\) on desk/;
  expect((await here.shim("up --once")).out).toEqual(holding("Needs you (1)", silent));
  const desk = { machine: "desk", isAdmin: false };
  const { incarnation } = given(await server.host.call("chats.register", aChat(ids.dead, "desk"), desk));
  const self = { chat: ids.dead, incarnation };
  const report = async (input: { status: "busy" | "stuck"; progress: string }): Promise<unknown> =>
    given(await server.host.call("chats.heartbeat", { self, ...input }, desk));
  await report({ status: "busy", progress: "half of it" });
  expect(await shown()).toBe("works");
  await report({ status: "busy", progress: waitingProgress.permission });
  expect(await shown()).toBe("waits for you (your permission)");
  expect(await shown("team chats", "chats")).toBe("waits for you (your permission)");
  const { process } = aChat(ids.dead, "desk");
  given(await server.host.call("chats.attest-death", { chat: ids.dead, machine: "desk", process }, desk));
  expect(await shown()).toBe("died");
  there.runtime.store.write((sql) => reportEnd(sql, there.runtime, ids.dead, "prompt_input_exit"));
  await sync(there);
  expect(await shown()).toBe("ended (finished)");
});

/** A living chat of the project was offered the session two minutes ago. */
function anOfferedHome(action: "offered" | "taken" = "offered"): CliHome {
  const home = aSeededHome();
  home.runtime.store.write((sql) => {
    recoveries.add(sql, { at: home.now, session: ids.dead, action: "offered", by: ids.alive });
    recoveries.add(sql, { at: home.now, session: ids.dead, action, by: ids.alive });
  });
  home.now += 120_000;
  return home;
}

const note = "offered to chat aaaa1111, 2 min ago";

it("a session that an open chat was offered is in every list, with that chat", async () => {
  const home = anOfferedHome();
  for (const list of ["sessions --incomplete", "sessions", "up --once"])
    expect([list, (await home.shim(list)).out]).toEqual([list, holding("bbbb2222", note)]);
  expect((await home.shim("sessions")).out).toMatch(/bbbb2222 +died /);
  expect((await home.shim("doctor")).out).toContain("2 sessions died unfinished");
  // The status line of that chat names it once.
  expect(statusOf(home.runtime, input(ids.alive))).toMatchObject({ died: 0, offered: { length: 1 } });
  addSession(home, { id: "dddd1111", pid: 500 });
  const several = holding(`work of bbbb  died (killed; ${note})`, "work of dddd  died (killed)");
  expect((await home.shim("resume")).err).toEqual(several);
  const row = { id: ids.dead, state: "died", detail: `killed; ${note}` };
  expect((await home.json("call page.fleet"))["rows"]).toContainEqual(expect.objectContaining(row));
});

it("`shim resume` prints and continues it, says who was offered it, and that chat is notified", async () => {
  const home = anOfferedHome();
  const err = holding(note);
  expect(await home.shim("resume --print")).toMatchObject({ ...printed("fix the parser"), err });
  const startProcess: Io["startProcess"] = async ({ args }) => {
    addSession(home, { id: args[1] ?? "", pid: 700 });
    return 0;
  };
  const ran = await home.shimWith({ isTty: true, isInteractive: true, startProcess }, "resume");
  expect(ran).toMatchObject({ code: 0, err });
  const given = home.runtime.store.read((sql) => news.undelivered(sql, ids.alive, 10), []);
  expect(given.map((one) => one.news)).toEqual([{ kind: "notice", text: holding(ids.dead, "is continued by chat") }]);
});

it("of a session that a living chat has taken `shim resume` says which chat, where, since when and what to do, and starts nothing", async () => {
  const home = anOfferedHome("taken");
  const where = [`${ids.dead} is continued by chat aaaa1111 (`, "Claude Code", "since 2 min ago: go on there"];
  const err = holding(...where, "`shim resume --undo bbbb2222`");
  for (const option of ["", " --print"])
    expect(await home.shim(`resume ${ids.dead}${option}`)).toMatchObject({ ...printed("fix the parser"), err });
  const terminal = { isTty: true, isInteractive: true };
  expect(await home.shimWith(terminal, `resume ${ids.dead}`)).toMatchObject({ code: 1, out: "", err });
  expect(home.started).toEqual([]);
  home.alive.clear();
  expect(await home.shimWith(terminal, `resume ${ids.dead}`)).toMatchObject({ code: 0 });
  expect(home.started).toHaveLength(1);
});

it("an idle chat of which all is saved is no risk, however long ago that was", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.start();
  claude.turn("fix it");
  expect(statusFor(runtime, claude)).toContain("| risk 0 safe");
  runtime.wait(60 * minuteMs);
  expect(statusFor(runtime, claude)).toContain("| risk 0 safe");
});
