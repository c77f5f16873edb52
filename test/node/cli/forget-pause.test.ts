import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { given } from "#harness/coordinator/peers.ts";
import { aChat } from "#harness/machine/cli-rigs.ts";
import { backUp } from "#src/store/backup.ts";
import { isPaused } from "#src/store/pause.ts";
import { aCliHome, addSession, addSnapshot, aSeededHome, type CliHome } from "#harness/machine/cli-home.ts";
import { failed, holding, ids } from "#harness/machine/cli-home.ts";

/** Every file below SHIM's home that holds these bytes. */
function filesWith(home: CliHome, text: string): string[] {
  return readdirSync(home.paths.home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

async function sessionsOf(home: CliHome): Promise<string[]> {
  const { sessions } = (await home.json("sessions")) as { sessions: { id: string }[] };
  return sessions.map(({ id }) => id).toSorted();
}

it("forgetting a session leaves none of it in any file: rows, index, log, backups", async () => {
  const home = aSeededHome();
  const entries = [{ kind: "prompt", text: "unforgettable words" } as const];
  addSession(home, { id: "dddd", pid: 500, title: "unforgettable-title", entries });
  await backUp(home.runtime.store, home.now, 5);
  expect(filesWith(home, "unforgettable").length).toBeGreaterThan(1);
  const forgotten = await home.json("forget dddd --yes");
  expect(forgotten).toMatchObject({ sessions: 1, checkpoints: 1 });
  expect(filesWith(home, "unforgettable")).toEqual([]);
  expect(await sessionsOf(home)).toEqual([ids.alive, ids.dead, ids.elsewhere, ids.finished]);
  expect((await home.shim("forget dddd --yes")).code).toBe(3);
});

it("forgetting an open chat leaves nothing of its title with the coordinator of this machine either", async () => {
  const home = aSeededHome();
  addSession(home, { id: "dddd", pid: 500, title: "unforgettable-title", entries: [] });
  const coordinator = home.coordinator();
  for (const [chat, title] of [
    ["dddd", "unforgettable-title"],
    ["eeee", "another-title"],
  ] as const) {
    const row = { ...aChat(chat, "m"), metadata: { title, checkout: "c" } };
    const { incarnation } = given(coordinator.call("chats.register", row));
    given(coordinator.call("chats.heartbeat", { self: { chat, incarnation }, status: "busy", progress: title }));
  }
  expect(filesWith(home, "unforgettable").some((path) => path.includes("coordination"))).toBe(true);
  expect(await home.json("forget dddd --yes")).toMatchObject({ sessions: 1 });
  expect(filesWith(home, "unforgettable")).toEqual([]);
  const kept = given(coordinator.call("chats.list", {})).chats.map(({ metadata }) => metadata);
  expect(kept).toEqual([{ checkout: "c" }, { title: "another-title", checkout: "c" }]);
});

it("what is to be deleted is asked for first, and is named", async () => {
  const home = aSeededHome();
  expect(await home.shim("forget ../other")).toMatchObject(failed(1, `1 session of ${home.other}`, "--yes"));
  const questions: string[] = [];
  const ask = async (question: string): Promise<string> => (questions.push(question), "");
  const forget = (id: string) => home.shimWith({ isTty: true, isInteractive: true, ask }, "forget", id);
  expect(await forget("bbbb2")).toMatchObject(failed(1, "nothing was changed"));
  expect(questions[0]).toContain(`session ${ids.dead} (work of bbbb)`);
  expect((await forget(ids.alive)).err).toContain("still running, so it is stored again");
  expect(await sessionsOf(home)).toHaveLength(4);
});

it("where files could not be removed it says so, and repeating the command finishes it", async () => {
  const home = aSeededHome();
  home.alive.add(process.pid);
  const repository = join(home.paths.snapshots, "p.git");
  mkdirSync(repository, { recursive: true });
  execFileSync("git", ["init", "-q", "--bare", repository]);
  addSnapshot(home, { state: "done", repository });
  Object.assign(home.runtime.env, { PATH: home.folder });
  const ran = await home.shim("forget", ids.dead, "--yes", "--json");
  expect(ran).toMatchObject({ code: 1, error: "files_left" });
  expect((await home.shim("doctor")).out).toContain("fail  forget: traces of forgotten data are left");
  Object.assign(home.runtime.env, { PATH: process.env["PATH"] });
  expect(await home.json("forget", ids.dead, "--yes")).toMatchObject({ snapshots: 1 });
  expect(existsSync(repository)).toBe(false);
  expect((await home.shim("forget", ids.dead, "--yes")).code).toBe(3);
});

it("a pause holds for a time or until --off, for all or for one project", async () => {
  const home = aCliHome();
  const paused = (project: string | null): boolean =>
    home.runtime.store.read((sql) => isPaused(sql, home.now, project), false);
  expect((await home.shim("pause --off")).out).toBe("There was no pause for every project.\n");
  expect(existsSync(home.paths.database)).toBe(false);
  const timed = { pauses: [{ project: home.other, until: home.now + 7_200_000 }] };
  expect(await home.json("pause 2h --project ../other")).toMatchObject(timed);
  expect([home.other, home.project, null].map(paused)).toEqual([true, false, false]);
  const all = "Nothing is stored for every project until you say so; `shim pause --off` ends it.";
  expect((await home.shim("pause")).out).toEqual(holding(all, `Also paused: ${home.other} until `));
  expect(paused(home.project)).toBe(true);
  expect((await home.shim("pause --off")).out).toContain("Saving again for every project.");
  expect([paused(home.other), paused(home.project)]).toEqual([true, false]);
  home.now += 7_200_001;
  expect(paused(home.other)).toBe(false);
  expect((await home.shim("pause 1h --off")).code).toBe(2);
});
