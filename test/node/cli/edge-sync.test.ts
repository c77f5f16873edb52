import { existsSync, readFileSync, statSync } from "node:fs";
import { expect, it } from "vitest";
import { edgeConfigPath, readEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { addKey, keyFilePath, formatCode, createKey } from "#src/machine/sharing/key-ring.ts";
import { aCliHome, addSession, failed, ids, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { SyncServer, tokenOf } from "#harness/sync/sync-server.ts";

const aCode = /shimkey-[\w-]{48}/;

/** The first machine of the workspace. @returns the key's code */
async function create(home: CliHome, server: SyncServer, ...more: string[]): Promise<string> {
  home.alive.add(process.pid);
  const env = { ...home.runtime.env, SHIM_ADMIN_SECRET: "secret" };
  const made = await home.shimWith({ env }, "workspace create team --url", server.url, ...more);
  expect([made.code, made.out]).toEqual([0, expect.stringContaining("This machine has joined team")]);
  const [code] = aCode.exec(made.out) ?? [];
  if (code === undefined) throw new Error(made.out);
  return code;
}

function joinAs(home: CliHome, server: SyncServer, lines: readonly string[], ...more: string[]) {
  home.alive.add(process.pid);
  const input = { readInput: () => Promise.resolve(`${[tokenOf("m2"), ...lines].join("\n")}\n`) };
  return home.shimWith(input, "workspace join team --url", server.url, ...more);
}

it("another machine gives the key; without it, or with another one, nothing is changed", async () => {
  const server = await SyncServer.listen();
  const code = await create(aCliHome(), server);
  const home = aCliHome();
  const isJoined = () => [edgeConfigPath, keyFilePath].map((path) => existsSync(path(home.paths.home)));
  const other = formatCode(createKey((bytes) => new Uint8Array(bytes).fill(3)));
  for (const [lines, why] of [
    [[], "the workspace has a key"],
    [[other], "this is key"],
    [[code.slice(0, -3)], "not complete"],
  ] as const) {
    const refused = await joinAs(home, server, lines);
    expect(refused.err).toContain(why);
    expect([refused.code === 0, aCode.test(refused.err), ...isJoined()]).toEqual([false, false, false, false]);
  }
  expect(await joinAs(home, server, [code])).toMatchObject({ code: 0 });
  expect(readFileSync(keyFilePath(home.paths.home), "utf8")).toContain(code);
  const third = aCliHome();
  expect(await joinAs(third, server, [], "--no-sync")).toMatchObject(printed("Nothing is synced"));
  const line = { readInput: () => Promise.resolve(code) };
  expect(await third.shimWith(line, "workspace key set")).toMatchObject(printed("This machine has key"));
});

it("in a terminal a join asks for what it lacks, and without an answer nothing is changed", async () => {
  const server = await SyncServer.listen();
  const code = await create(aCliHome(), server);
  const home = aCliHome();
  home.alive.add(process.pid);
  addSession(home, { id: ids.dead });
  const answers = (...texts: string[]) => {
    const questions: string[] = [];
    const ask = (question: string) => Promise.resolve((questions.push(question), texts.shift() ?? ""));
    return { questions, ran: home.shimWith({ isInteractive: true, ask }, "workspace join team --url", server.url) };
  };
  for (const given of [[], [tokenOf("m2")]]) {
    expect((await answers(...given).ran).code).not.toBe(0);
    expect(existsSync(edgeConfigPath(home.paths.home)) || existsSync(keyFilePath(home.paths.home))).toBe(false);
  }
  const { questions, ran } = answers(tokenOf("m2"), code);
  expect(await ran).toMatchObject(printed("This machine has joined team as m2"));
  expect(questions.join("")).toMatch(/Token.*Key/);
});

it("a registration whose answer was lost is repeated with the same key", async () => {
  const server = await SyncServer.listen();
  const home = aCliHome();
  server.losesAnswersOf = "/sync/rekey";
  expect((await joinAs(home, server, [])).code).toBe(1);
  server.losesAnswersOf = null;
  expect(await joinAs(home, server, [])).toMatchObject({ code: 0 });
  expect((await home.shim("workspace sync")).code).toBe(0);
});

it("tasks, schedules and state of a machine stay in its own file, and are there again when it leaves", async () => {
  const server = await SyncServer.listen();
  const code = await create(aCliHome(), server);
  const home = aCliHome();
  addSession(home, { id: ids.dead });
  await home.shim("task submit build --payload", '{"n":1}');
  await home.shim("team state set color", '"red"');
  await home.shim("task schedules add --type build --time-zone UTC --name nightly", "0 3 * * *");
  const stays = printed("1 open task, 1 schedule and 1 key of state stay in this machine's own file");
  expect(await joinAs(home, server, [code], "--import")).toMatchObject(stays);
  expect(await joinAs(home, server, [code], "--import")).toMatchObject(stays);
  expect(await server.host.call("tasks.list", {})).toMatchObject({ ok: true, value: { tasks: [] } });
  expect(await home.shim("workspace sync")).toMatchObject(printed("Sent: 1 session, 1 checkpoint"));
  await home.shim("workspace leave --yes");
  expect(await home.json("task list")).toMatchObject({ tasks: [{ state: "queued" }] });
  expect(await home.json("task schedules list")).toMatchObject({ schedules: [{ name: "nightly" }] });
  expect((await home.shim("team state get color")).out).toBe('"red"\n');
});

it("without --import what was there stays here, and only later changes are sent", async () => {
  const server = await SyncServer.listen();
  const code = await create(aCliHome(), server);
  const home = aCliHome();
  addSession(home, { id: ids.dead });
  expect(await joinAs(home, server, [code])).toMatchObject({ code: 0 });
  expect((await home.shim("workspace sync")).out).toContain("Sent: 0 sessions, 0 checkpoints");
  home.now += 1_000;
  addSession(home, { id: ids.elsewhere });
  expect((await home.shim("workspace sync")).out).toContain("Sent: 1 session, 1 checkpoint");
  // Also where all is sent again.
  expect((await home.shim("workspace key rotate --yes")).out).toContain("Sent: 1 session, 1 checkpoint");
});

it("with --no-sync nothing is sent though the key is here, and what was to stay stays", async () => {
  const server = await SyncServer.listen();
  const code = await create(aCliHome(), server);
  const home = aCliHome();
  await joinAs(home, server, [code]);
  await home.shim("workspace sync");
  addSession(home, { id: ids.dead });
  expect(await joinAs(home, server, [], "--no-sync")).toMatchObject({ code: 0 });
  expect(await home.shim("workspace sync")).toMatchObject(failed(1, "joined with --no-sync"));
  await home.shim("workspace leave --yes");
  expect(await joinAs(home, server, [], "--no-sync")).toMatchObject({ code: 0 });
  expect(await home.shim("workspace sync")).toMatchObject({ code: 1 });
  home.now += 1_000;
  addSession(home, { id: ids.elsewhere });
  const line = { readInput: () => Promise.resolve(code) };
  expect(await home.shimWith(line, "workspace key set")).toMatchObject({ code: 0 });
  expect((await home.shim("workspace sync")).out).toContain("Sent: 1 session, 1 checkpoint");
});

it("a machine that leaves chooses what becomes of the copies; keys and sessions stay on the machine", async () => {
  const server = await SyncServer.listen();
  const home = aCliHome();
  addSession(home, { id: ids.dead });
  await create(home, server, "--import");
  await home.shim("workspace sync");
  const stored = async (): Promise<unknown> => {
    const status = await server.host.call("sync.status", {});
    return status.ok && [status.value.sessions, status.value.checkpoints];
  };
  expect(await stored()).toEqual([1, 1]);
  server.isDown = true;
  expect(await home.shim("workspace leave --yes --forget")).toMatchObject(failed(1, "this machine has not left"));
  expect(existsSync(edgeConfigPath(home.paths.home))).toBe(true);
  server.isDown = false;
  const left = await home.shim("workspace leave --yes --forget");
  expect(left.out).toContain("1 session and 1 checkpoint of this machine were deleted there");
  expect(await stored()).toEqual([0, 0]);
  expect(existsSync(keyFilePath(home.paths.home))).toBe(true);
  expect((await home.shim("sessions --json")).out).toContain(ids.dead);
});

it("a rekey that was cut short is repaired by the next one, and the shown code is the workspace's @night", async () => {
  const server = await SyncServer.listen();
  const home = aCliHome();
  const code = await create(home, server);
  addSession(home, { id: ids.dead });
  await home.shim("workspace sync");
  const present = async (): Promise<string> => (await home.shim("workspace key show --yes --json")).out;
  const there = async (): Promise<unknown> => {
    const status = await server.host.call("sync.status", {});
    return status.ok && status.value.keyId;
  };
  // The workspace has taken the key, and the answer was lost.
  server.losesAnswersOf = "/sync/rekey";
  expect(await home.codes("workspace key rotate", "workspace key rotate --yes")).toEqual([1, 1]);
  server.losesAnswersOf = null;
  expect(await present()).toContain(await there());
  expect(await present()).not.toContain(code);
  // Killed before it asked: the newest key here is none that the workspace knows.
  const edge = readEdgeConfig(home.paths.home);
  if (!edge.ok || !edge.value) throw new Error("not joined");
  const unknown = createKey((bytes) => new Uint8Array(bytes).fill(9));
  addKey(home.paths.home, edge.value, unknown);
  expect(await present()).toContain(await there());
  expect((await home.shim("workspace key rotate --yes")).out).toContain("The workspace has a new key");
  expect(await present()).toContain(await there());
});

it("the first machine makes the key, shows it once, and says what the coordinator can read", async () => {
  const server = await SyncServer.listen();
  const home = aCliHome();
  const env = { ...home.runtime.env, SHIM_ADMIN_SECRET: "secret" };
  const made = await home.shimWith({ env }, "workspace create team --url", server.url);
  expect(made.out).toMatch(aCode);
  expect(made.out).toContain("what is synced is lost too");
  expect(made.out).toContain("What the coordinator can read: tasks, messages, state");
  expect(statSync(keyFilePath(home.paths.home)).mode & 0o777).toBe(0o600);
  const [code = ""] = aCode.exec(made.out) ?? [];
  expect((await home.shim("workspace status")).out).not.toContain(code);
  expect(readFileSync(edgeConfigPath(home.paths.home), "utf8")).not.toContain(code);
});
