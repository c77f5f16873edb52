import { expect, it } from "vitest";
import type { FleetRow } from "#src/contract/machine/page.ts";
import type { Io } from "#src/cli/io.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import type { Sql } from "#src/shared/sql.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { addSession, aSeededHome, holding, ids, type CliHome } from "#harness/machine/cli-home.ts";
import { loseSession, sync, twoCliHomes } from "#harness/machine/cli-machines.ts";

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
    home.runtime.store.write((sql) =>
      sessions.recordSighting(sql, home.now, {
        id: args[1] ?? "",
        client: "claude-code",
        origin: "startup",
        owner: null,
        isAlive: true,
      }),
    );
    return 0;
  };
  const ran = await home.shimWith({ isTty: true, isInteractive: true, startProcess }, "resume");
  expect(ran).toMatchObject({ code: 0, err: holding(note) });
  const told = home.runtime.store.read((sql) => news.undelivered(sql, ids.alive, 10), []);
  expect(told.map((one) => one.news)).toEqual([{ kind: "notice", text: holding(ids.dead, "is continued by chat") }]);
});

it("once that chat has taken it, it is listed as continued by it and not as unfinished; when that chat is over it is free", async () => {
  const home = anOfferedHome();
  offer(home, "taken");
  expect((await home.shim("sessions")).out).toMatch(/bbbb2222 +ended +continued by chat aaaa1111/);
  expect((await home.shim("sessions --incomplete")).out).not.toContain("bbbb2222");
  home.alive.delete(100);
  const free = (await home.shim("sessions --incomplete")).out;
  expect(free).toMatch(/bbbb2222 +died /);
  expect(free).not.toContain("by chat");
});

it("`shim up` shows what died on another machine, with the command that continues it here", async () => {
  const machines = await twoCliHomes(() => undefined);
  const { here, there } = machines;
  await loseSession(machines, () => sync(there));
  const { out } = await here.shim("up --once");
  expect(out).toContain("Can come back (1)");
  expect(out).toMatch(/bbbb2222 {2}\S+ {2}fix the parser {2}died on desk, .* ago: shim resume bbbb2222\n/);
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

function offeredAfter(change: (sql: Sql, at: number) => void): readonly string[] {
  const home = anOfferedHome();
  home.runtime.store.write((sql) => change(sql, home.now));
  return statusOf(home.runtime, JSON.stringify({ session_id: ids.alive })).offered;
}

const sighting = { id: ids.dead, client: "claude-code", origin: "resume", owner: null, isAlive: true } as const;

it("the status line names an offered session until it is resumed, taken elsewhere, finished or dismissed", () => {
  const ends: Record<string, Parameters<typeof offeredAfter>[0]> = {
    resumed: (sql, at) => void sessions.recordSighting(sql, at, sighting),
    finished: (sql, at) => sessions.end(sql, at, ids.dead, "finished"),
    taken: (sql, at) => sessions.setRecovery(sql, at, ids.dead, "recovered", "a chat of another machine"),
    dismissed: (sql, at) => sessions.setRecovery(sql, at, ids.dead, "dismissed", null),
  };
  expect(offeredAfter(() => {})).toHaveLength(1);
  for (const [how, change] of Object.entries(ends)) expect([how, offeredAfter(change)]).toEqual([how, []]);
});
