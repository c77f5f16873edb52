import { expect, it } from "vitest";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import type { Io } from "#src/cli/io.ts";
import { noteOf } from "#src/local-mcp/sessions/recoveries.ts";
import { recordTakeovers } from "#src/local-mcp/sync/takeover-notices.ts";
import { createSynchronizer } from "#src/local-mcp/sync/start-sync.ts";
import { aCliHome, addSession, failed, ids, type CliHome } from "#harness/machine/cli-home.ts";
import { aChat, loseSession, twoCliHomes, type CliMachines } from "#harness/machine/cli-machines.ts";
import { git } from "#harness/machine/git-project.ts";
import { given } from "#harness/coordinator/state-calls.ts";

const terminal: Partial<Io> = { isTty: true, isInteractive: true };
/** A session of the other machine has died. */
async function aPair(): Promise<CliMachines> {
  const machines = await twoCliHomes((...homes) => {
    for (const { project } of homes) {
      git(project, "init", "-q", "-b", "main");
      git(project, "remote", "add", "origin", "git@example.com:ann/app.git");
    }
  });
  await loseSession(machines, () => sync(machines.there));
  return machines;
}

async function sync(home: CliHome): Promise<void> {
  const own = { boot: "boot-1", pid: process.pid, start: `s${process.pid}` };
  const synchronizer = createSynchronizer(home.runtime, own, recordTakeovers);
  const report = await synchronizer.syncNow();
  await synchronizer.stop();
  expect(report.trouble).toBeNull();
}

it("[RE27] what is not here is searched on the other machines: by id, by its beginning, or the newest of this project", async () => {
  const { here } = await aPair();
  for (const asked of [[ids.dead], [ids.dead.slice(0, 8)], []]) {
    const ran = await here.shim("resume", ...asked);
    expect([ran.code, ran.err]).toEqual([0, ""]);
    expect(ran.out).toContain("on another machine (desk)");
    expect(ran.out).toContain("fix the parser of bbbb2222");
  }
  const json = (await here.shimWith(terminal, "resume --json")).json();
  expect(json).toMatchObject({ session: ids.dead, machine: "desk", start: { kind: "new", cwd: here.project } });
  expect((await here.shimWith({ cwd: here.other }, "resume")).code).toBe(3);
  expect((await here.shim("resume nope")).code).toBe(3);
});

it("[RE116] [RE26] it starts a new chat in the project's folder and records it; one that never begins changes nothing", async () => {
  const { here } = await aPair();
  const note = () => here.runtime.store.read((sql) => noteOf(sql, ids.dead), null);
  const never = await here.shimWith(terminal, "resume", ids.dead);
  expect([never.code, note()]).toEqual([0, null]);
  const startProcess: Io["startProcess"] = async (start) => {
    here.started.push(start);
    addSession(here, { id: start.args[1] ?? "", pid: 700 });
    return 0;
  };
  const ran = await here.shimWith({ ...terminal, startProcess }, "resume", ids.dead);
  expect(ran.code).toBe(0);
  expect(ran.err).toContain("its transcript is on desk");
  const start = here.started.at(-1);
  expect(start).toMatchObject({ command: "claude", cwd: here.project });
  expect(start?.args[2]).toContain("Continue this work now");
  expect(note()).toEqual({ action: "taken", by: start?.args[1] });
});

it("[RE104] one whose chat lives, that was finished or is continued elsewhere, or has no project here, is not started", async () => {
  const { here, there, server } = await aPair();
  const elsewhere = await here.shimWith({ ...terminal, cwd: here.other }, "resume", ids.dead);
  expect(elsewhere.code).toBe(1);
  expect(elsewhere.err).toContain("this folder is not its project");
  const rival = { machine: "tower", isAdmin: false };
  const { incarnation } = given(await server.host.call("chats.register", aChat("rival", "tower"), rival));
  const self = { chat: "rival", incarnation };
  const lease = { self, resource: `session:${ids.dead}`, requestId: "r", ttlMs: 60_000 };
  given(await server.host.call("leases.acquire", lease, rival));
  const held = await here.shimWith(terminal, "resume", ids.dead);
  expect([held.code, held.err]).toEqual([1, expect.stringContaining("is continued by chat rival on tower")]);
  given(await server.host.call("chats.unregister", { self }, rival));
  given(await server.host.call("chats.register", aChat(ids.dead, "desk"), { machine: "desk", isAdmin: false }));
  expect(await here.shimWith(terminal, "resume", ids.dead)).toMatchObject(failed(1, "on desk: It is idle"));
  there.runtime.store.write((sql) => sessions.end(sql, there.now, ids.dead, "prompt_input_exit"));
  await sync(there);
  expect(await here.shimWith(terminal, "resume", ids.dead)).toMatchObject(failed(1, "was finished on desk"));
  expect(here.started).toEqual([]);
});

it("[RE103] while the coordinator does not answer nothing is started, and this is said", async () => {
  const { here, server } = await aPair();
  await here.shim("resume");
  server.isDown = true;
  expect(await here.shimWith(terminal, "resume", ids.dead)).toMatchObject(
    failed(1, "Other machines as of the last sync", "is not known now"),
  );
  expect((await here.shim("resume", ids.dead)).code).toBe(0);
  expect(here.started).toEqual([]);
});

it("[RE26] [RE102] --undo returns it for all machines, --dismiss is of this one", async () => {
  const { here, there, server } = await aPair();
  expect((await here.shim("resume --dismiss", ids.dead)).out).toContain("is not offered on this machine any more");
  expect((await here.shim("resume --undo", ids.dead)).out).toContain("counts as incomplete again");
  expect((await here.shim("resume --undo", ids.dead)).code).toBe(1);
  const laptop = { machine: "laptop", isAdmin: false };
  const { incarnation } = given(await server.host.call("chats.register", aChat("heir", "laptop"), laptop));
  const self = { chat: "heir", incarnation };
  const acquired = given(
    await server.host.call(
      "leases.acquire",
      { self, resource: `session:${ids.dead}`, requestId: "r", isBound: true },
      laptop,
    ),
  );
  const [row] = given(await server.host.call("sync.list", {}, laptop)).sessions;
  const token = acquired.state === "granted" ? acquired.lease.token : 0;
  given(await server.host.call("sync.take", { self, device: row?.device ?? "", session: ids.dead, token }, laptop));
  expect(await here.json("sessions --all-machines")).toMatchObject({
    sessions: [],
    elsewhere: [{ id: ids.dead, state: "taken", machine: "desk", takenBy: { chat: "heir", machine: "laptop" } }],
  });
  // The machine that it came from learns of it, and does not offer it any more.
  await sync(there);
  expect(there.runtime.store.read((sql) => sessions.get(sql, ids.dead), null)).toMatchObject({
    recovery: "recovered",
    recoveryBy: "heir",
  });
  expect((await here.shim("resume --undo", ids.dead)).code).toBe(0);
  expect((await here.shim("sessions --all-machines")).out).toMatch(/bbbb2222 +incomplete .* desk /);
  expect((await here.shim("sessions --all-machines --incomplete")).out).toContain("fix the parser");
  await sync(there);
  expect(there.runtime.store.read((sql) => sessions.get(sql, ids.dead), null)).toMatchObject({ recovery: null });
});

it("[RE102] on a machine that has joined no workspace there are no other machines", async () => {
  const home = aCliHome();
  const ran = await home.shim("sessions --all-machines");
  expect([ran.code, ran.out]).toEqual([
    0,
    expect.stringContaining("Other machines: none. This machine has not joined a workspace"),
  ]);
  expect((await home.shim("resume nope")).code).toBe(3);
});
