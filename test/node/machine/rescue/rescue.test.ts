import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import {
  fakeOpenCode,
  invented,
  openCodeSession,
  writeSession,
  type InventedSession,
} from "#harness/clients/broken-sessions.ts";
import { aDeadClaude, storedSession } from "#harness/machine/claude.ts";
import { aCliHome, addSession, failed, holding, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { connect } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { callAs, fakeBundle, servePage, signIn } from "#harness/web/live-page.ts";
import { filesOf, known } from "#harness/clients/breaks.ts";

function lockOf(home: CliHome, { id }: InventedSession): string {
  const path = join(home.folder, ".codex", "thread-writer-locks", `${id}.lock`);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

function aCodexSession(home: CliHome): InventedSession {
  const session = invented("codex", home.project);
  writeSession(home.folder, session);
  known(home, session);
  return session;
}

it("a lock that nobody holds and Codex can open is no reason", async () => {
  const home = aCliHome();
  const session = aCodexSession(home);
  writeFileSync(lockOf(home, session), "");
  expect(await home.json(`rescue ${session.id}`)).toMatchObject({ reason: null });
});

it("the process that holds Codex's lock is named, and nothing is done to it", async () => {
  const home = aCliHome();
  const session = aCodexSession(home);
  const lock = lockOf(home, session);
  const holder = spawn("flock", [lock, "sh", "-c", "echo held; exec sleep 600"], {
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
  });
  onTestFinished(() => void process.kill(-(holder.pid ?? 0), "SIGKILL"));
  await once(holder.stdout, "data");
  const { why, ...rest } = await home.json(`rescue ${session.id}`);
  expect(rest).toMatchObject({ reason: "locked", offers: [{ kind: "copy" }, { kind: "brief" }] });
  expect(why).toMatch(/\(pid \d+\) holds .*\.lock: continue there, or end that process$/);
  expect(holder.exitCode).toBeNull();
});

it("a lock that nobody holds and Codex cannot open is renamed with consent, and stays as the backup", async () => {
  const home = aCliHome();
  const session = aCodexSession(home);
  const lock = lockOf(home, session);
  mkdirSync(lock);
  const before = filesOf(home);
  const shown = await home.shim(`rescue ${session.id}`);
  expect(shown).toMatchObject(printed("is locked: nobody holds", "EISDIR", "1  rename that file"));
  expect(filesOf(home)).toEqual(before);
  const asked = await home.shimWith({ isTty: true, isInteractive: true, ask: async () => "1" }, `rescue ${session.id}`);
  expect(asked).toMatchObject({ code: 0, err: holding("That is out of the way") });
  expect(home.started).toMatchObject([{ command: "codex", args: ["resume", session.id] }]);
  expect([...filesOf(home).keys()].filter((name) => name.includes("thread-writer-locks/"))).toEqual([
    `.codex/thread-writer-locks/${session.id}.lock.before-rescue-${home.now}`,
  ]);
  expect(await home.json(`rescue ${session.id}`)).toMatchObject({ reason: null });
});

it("what Codex has archived comes back by its own command", async () => {
  const home = aCliHome();
  const session = aCodexSession(home);
  const path = join(home.folder, session.file);
  const archive = join(home.folder, ".codex", "archived_sessions");
  mkdirSync(archive);
  renameSync(path, join(archive, path.split("/").at(-1) ?? ""));
  const ran: (readonly string[])[] = [];
  const terminal = {
    ...answering("1"),
    runQuietly: (command: string, args: readonly string[]) => {
      ran.push([command, ...args]);
      renameSync(join(archive, path.split("/").at(-1) ?? ""), path);
      return { code: 0, text: "" };
    },
  };
  const asked = await home.shimWith(terminal, `rescue ${session.id}`);
  expect(asked).toMatchObject({ code: 0, err: holding("is invisible: Codex has archived it") });
  expect(ran).toEqual([["codex", "unarchive", session.id]]);
  expect(home.started).toMatchObject([{ command: "codex", args: ["resume", session.id] }]);
});

it("OpenCode's own export and import make the copy, with ids that it has not", async () => {
  const home = aCliHome();
  const id = "ses_deadb5e3effe5J6ePB0OODywj2";
  fakeOpenCode(home.folder, openCodeSession(id, [400, 400]));
  addSession(home, { id, client: "opencode", pid: 77 });
  expect(await home.json(`rescue ${id}`)).toMatchObject({
    reason: "poisoned",
    offers: [{ kind: "copy" }, { kind: "brief" }],
  });
  const { done } = await home.json(`rescue ${id} --yes`);
  const { session, start } = (done as { copy: { session: string; start: object } }).copy;
  expect(session).toMatch(/^ses_/);
  expect(start).toMatchObject({ command: "opencode", newId: session });
  const text = readFileSync(join(home.folder, "imported.json"), "utf8");
  expect(text).toContain("pear");
  for (const absent of [id, "Ran one.", "refused", "msg_a100000000"]) expect(text).not.toContain(absent);
});

it("a session that OpenCode does not export is deleted", async () => {
  const home = aCliHome();
  fakeOpenCode(home.folder, null);
  addSession(home, { id: "ses_1", client: "opencode", pid: 77 });
  expect(await home.json("rescue ses_1")).toMatchObject({ reason: "deleted", offers: [{ kind: "brief" }] });
});

it("a chat that still runs is named, and neither copied nor replaced", async () => {
  const home = aCliHome();
  const session = invented("claude-code", home.project);
  writeSession(home.folder, session, [...session.rows, ...session.refused(1, 400), ...session.refused(2, 400)]);
  known(home, session);
  home.alive.add(77);
  const before = filesOf(home);
  expect(await home.shim("rescue --yes")).toMatchObject(printed("is poisoned", "It still runs: end that chat first."));
  const call = ["call", "recovery.rescue", `session=${session.id}`, `folder=${home.project}`, "offer=copy"];
  expect(await home.shim("", ...call)).toMatchObject(failed(1, "still runs (pid 77): end that chat first."));
  expect(filesOf(home)).toEqual(before);
});

const answering = (reply: string) => ({ isTty: true, isInteractive: true, ask: async () => reply });

it("--in takes the brief of any session to another client", async () => {
  const home = aCliHome();
  const session = invented("claude-code", home.project);
  writeSession(home.folder, session);
  known(home, session);
  expect(await home.json(`rescue ${session.id} --in codex`)).toMatchObject({
    start: { kind: "new", command: "codex" },
  });
  const terminal = { isTty: true, isInteractive: true };
  expect(await home.shimWith(terminal, `rescue ${session.id} --in codex`)).toMatchObject({ code: 0 });
  expect(home.started).toMatchObject([{ command: "codex", cwd: home.project }]);
});

it("without a yes nothing is changed, and a wrong number is wrong usage", async () => {
  const home = aCliHome();
  const session = invented("codex", home.project);
  writeSession(home.folder, session, [...session.rows, ...session.refused(1, 400), ...session.refused(2, 400)]);
  known(home, session);
  const before = filesOf(home);
  expect(await home.shimWith(answering(""), "rescue")).toMatchObject(printed("Nothing was changed."));
  expect(await home.shimWith(answering("7"), "rescue")).toMatchObject(failed(2, '"7" is none of them'));
  expect(await home.shim("rescue nobody")).toMatchObject(failed(3, 'there is no session "nobody"'));
  expect(filesOf(home)).toEqual(before);
  expect(home.started).toEqual([]);
});

it("resume offers the rescue where the client ends with an error within seconds, and not later", async () => {
  const home = aCliHome();
  const session = invented("claude-code", home.project);
  writeSession(home.folder, session, [...session.rows, ...session.refused(1, 400), ...session.refused(2, 400)]);
  known(home, session);
  const started: string[] = [];
  const endingAfter = (ms: number) => ({
    isTty: true,
    isInteractive: true,
    ask: async () => "1",
    startProcess: async ({ args }: { args: readonly string[] }) => {
      started.push(String(args.at(-1)));
      home.now += ms;
      return started.length === 1 ? 1 : 0;
    },
  });
  const late = await home.shimWith(endingAfter(60_000), `resume ${session.id}`);
  expect(late).toMatchObject(failed(1, "ended with exit code 1"));
  started.length = 0;
  const early = await home.shimWith(endingAfter(900), `resume ${session.id}`);
  expect(early).toMatchObject({ code: 0, err: holding("is poisoned: the API has refused its last 2 prompts") });
  expect(started).toHaveLength(2);
  expect(started[1]).not.toBe(session.id);
});

it("a client that is older than the one that wrote the session is named", async () => {
  const home = aCliHome();
  const session = invented("claude-code", home.project);
  writeSession(home.folder, session);
  known(home, session);
  home.runtime.store.write((sql) => sessions.update(sql, session.id, { clientVersion: "2.1.328" }));
  const fields = [`session=${session.id}`, `folder=${home.project}`, "hasFailed=true"];
  const answer = await home.shim("call recovery.diagnose", ...fields);
  expect(answer.json()).toMatchObject({
    diagnosis: { reason: "version", why: "Claude Code 2.1.328 wrote it, and the one on the PATH is 2.1.200" },
  });
});

it("the page has the reason and the command, and starts no program of a client", async () => {
  const home = aCliHome();
  const session = invented("codex", home.project);
  writeSession(home.folder, session, [...session.rows, ...session.refused(1, 400), ...session.refused(2, 400)]);
  known(home, session);
  fakeOpenCode(home.folder, openCodeSession("ses_open", [400, 400]));
  addSession(home, { id: "ses_open", client: "opencode", pid: 77 });
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const ask = async (id: string) => {
    const input = { session: id, folder: home.project };
    return (await callAs(page, authorization, { name: "recovery.diagnose", input })).value;
  };
  expect(await ask(session.id)).toMatchObject({
    diagnosis: { reason: "poisoned", command: `shim rescue ${session.id.slice(0, 8)}` },
  });
  expect(await ask("ses_open")).toMatchObject({ diagnosis: { reason: null } });
  const input = { session: session.id, folder: home.project, offer: "copy" };
  expect(await callAs(page, authorization, { name: "recovery.rescue", input })).toMatchObject({ status: 404 });
});

it("the brief of such a session comes with the reason and the command", async () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const { ask } = await connect(runtime);
  const { output, text } = await ask("shim_check_recovery", { of: dead.session });
  const { message } = output as { message: string };
  expect(message).toMatch(/^Its client cannot continue it \(deleted\): .* is no longer there.*`shim rescue \w+`\.$/);
  expect(text).toContain(message);
  const { transcriptPath } = storedSession(runtime, dead.session);
  mkdirSync(dirname(transcriptPath ?? ""), { recursive: true });
  writeFileSync(
    transcriptPath ?? "",
    invented("claude-code", "/p")
      .rows.map((row) => `${JSON.stringify(row)}\n`)
      .join(""),
  );
  expect((await ask("shim_check_recovery", { of: dead.session })).output).not.toHaveProperty("message");
});
