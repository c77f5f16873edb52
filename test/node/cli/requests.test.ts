import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { createServer } from "node:http";
import { expect, it, onTestFinished, vi } from "vitest";
import { aCliHome, addSession, failed, ids, type CliHome } from "#harness/machine/cli-home.ts";
import { aFront, aHost } from "#harness/machine/host-rig.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { aPermission } from "#harness/machine/request-rig.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import type { RequestDecision } from "#src/contract/hooks.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { hostSocket } from "#src/platform/host-socket.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import type { PermissionRequest } from "#src/runtime/permission-requests.ts";

/** A chat works, and answers from the command line are on. */
function answering(): CliHome {
  const home = aCliHome();
  const { runtime } = home;
  Object.assign(runtime, { config: { ...runtime.config, answers: { ...runtime.config.answers, isEnabled: true } } });
  home.alive.add(100);
  addSession(home, { id: ids.alive, pid: 100 });
  return home;
}

function asks(home: CliHome, id: string, more: Partial<PermissionRequest> = {}): Promise<RequestDecision | null> {
  const { now } = home;
  const request = {
    ...aPermission,
    session: ids.alive,
    text: "rm -r build\n# Clean",
  };
  return home.runtime.permissions.open({ ...request, id, askedAt: now, endsAt: now + 570_000, ...more });
}

it("open requests are listed with their end, and one is allowed or denied from here, once and by its user alone", async () => {
  const home = answering();
  expect((await home.shim("requests")).out).toBe("No chat asks for anything.\n");
  const [one, two] = [asks(home, "ab1"), asks(home, "ab2", { text: "line\n".repeat(500) })];
  void asks(home, "cd3", { tool: "Write", text: "a.txt", reason: "it asks a question" });
  home.now += 30_000;
  const whose = '"work of aaaa" (aaaa1111)';
  expect((await home.shim("requests")).out.split("\n")).toEqual([
    `ab1  Bash of ${whose}, allow, deny for 9 min`,
    "    rm -r build",
    "    # Clean",
    `ab2  Bash of ${whose}, allow, deny for 9 min`,
    ...Array.from({ length: 16 }, () => "    line"),
    "    ⟨2386 characters in 477 lines folded⟩",
    ...Array.from({ length: 7 }, () => "    line"),
    "    ",
    "    All of it: `shim requests show ab2`",
    `cd3  Write of ${whose}, only in its terminal: it asks a question`,
    "    a.txt",
    "",
  ]);
  const whole = (await home.shim("requests show ab2")).out;
  expect(whole.startsWith("line\n".repeat(500))).toBe(true);
  const [, shown = ""] = /requests answer ab2 allow (--shown \w+)`/.exec(whole) ?? [];
  const env = { ...home.runtime.env, CLAUDE_CODE_SESSION_ID: ids.alive };
  const byChat = "a chat has started this command: only its user may answer, or write to chats.";
  for (const command of ["requests answer ab1 allow", "requests message aaaa1111 hi"])
    expect(await home.shimWith({ env }, command)).toMatchObject(failed(1, byChat));
  const later = "Its terminal may have been first: `shim requests` shows what came of it.";
  const unread = "2386 characters of this request were not shown. `shim requests show ab2` shows all of it";
  expect(await home.shim("requests answer ab2 allow")).toMatchObject(failed(1, unread));
  expect((await home.shim(`requests answer ab2 allow ${shown}`)).out).toBe(`Allow was sent: Bash (ab2). ${later}\n`);
  const denied = await home.shim("requests answer ab1 deny --message no");
  expect(denied.out).toBe(`Deny was sent: Bash (ab1). ${later}\n`);
  expect([await one, await two]).toEqual([{ behavior: "deny", message: "no" }, { behavior: "allow" }]);
  const listed = (await home.shim("requests")).out.split("\n");
  expect(listed).toContain(
    "ab2  Bash of aaaa1111: Allow was sent. The chat has not shown yet that it runs (the command line, 0 s ago).",
  );
  for (const [args, code, why] of [
    ["ab2 deny", 1, "too late, the request ab2 is over: the command line had allowed it 0 s ago.\n"],
    ["cd3 allow", 1, "this request is its terminal's alone: it asks a question.\n"],
    ["nope allow", 3, 'no request "nope" is open. `shim requests` lists those that are.\n'],
    [
      "cd3 maybe",
      2,
      "shim: command-argument value 'maybe' is invalid for argument 'decision'. Allowed choices are allow, session, answer, deny.\n",
    ],
    ["cd3", 2, "missing required argument 'decision'"],
  ] as const)
    expect([args, await home.shim(`requests answer ${args}`)]).toMatchObject([args, failed(code, why)]);
  expect((await home.json("requests"))["requests"]).toMatchObject([{ id: "cd3", reason: "it asks a question" }]);
});

it("the beginning of an id that an open request shares with one that is over answers neither", async () => {
  const home = answering();
  const [one] = [asks(home, "ab1"), asks(home, "ac2")];
  home.runtime.permissions.end("ab1", "passed");
  expect(await one).toBeNull();
  expect(await home.shim("requests answer a allow")).toMatchObject(failed(2, 'several requests begin with "a".'));
  expect(await home.shim("requests answer ac allow")).toMatchObject({ code: 0 });
});

it("a question is answered from here by the numbers of its choices, or in words, and a permission for the whole session", async () => {
  const home = answering();
  const toolInput = {
    questions: [
      { question: "Which?", options: [{ label: "A" }, { label: "B" }] },
      { question: "What else?", options: [{ label: "C" }, { label: "D" }], multiSelect: true },
      { question: "Why?", options: [] },
    ],
  };
  const kind = { tool: "AskUserQuestion", kind: "question", decisions: ["answer", "deny"], toolInput } as const;
  const question = asks(home, "qu1", kind);
  const grant = { text: "Bash: git push *", rules: [{ type: "addRules" }] };
  const push = asks(home, "pu1", { decisions: ["allow", "session", "deny"], grant });
  const { out } = await home.shim("requests");
  expect(out).toContain(", answer, deny for 9 min\n");
  expect(out).toContain("    session: allows Bash: git push * until the session ends\n");
  const wrong = failed(2, "question 1 takes one choice, or words.");
  expect(await home.shim("requests answer qu1 answer 1,2 1 no")).toMatchObject(wrong);
  expect((await home.shim("requests answer qu1 answer 2 1,2 because")).out).toContain("The answer was sent");
  expect((await home.shim("requests answer pu1 session")).out).toContain("Allow for this session was sent");
  const answers = [["B"], ["C", "D"], ["because"]];
  expect([await question, await push]).toEqual([
    { behavior: "allow", input: toolInput, answers },
    { behavior: "allow", rules: grant.rules },
  ]);
});

it("a message comes to a chat at the end of its turn or with its next prompt, and none while answers are off", async () => {
  const home = answering();
  const ended: JournalEntry[] = [{ kind: "prompt", text: "say hello" }, { kind: "turn_end" }];
  home.alive.add(200);
  addSession(home, { id: ids.dead, pid: 200, entries: ended });
  const inTurn = await home.shim("requests message aaaa1111 commit first");
  expect(inTurn.out).toBe("The chat reads it when its turn ends.\n");
  const idle = await home.shim("requests message bbbb2222 go on");
  expect(idle.out).toBe("The chat reads it with the next prompt that its terminal sends.\n");
  home.alive.delete(200);
  const texts = home.runtime.store.read((sql) => sql.all<{ entry: string }>("SELECT * FROM team_news"), []);
  expect(JSON.stringify(texts)).toMatch(/commit first.*go on/);
  const gone = "no client works in this session, so no chat would read the message.";
  expect(await home.shim("requests message bbbb2222 hi")).toMatchObject(failed(1, gone));
  expect(await home.codes("requests message zzzz hi", "requests message aaaa1111")).toEqual([3, 2]);
  const off = aCliHome();
  const how = "`shim config set answers.isEnabled true` allows them.\n";
  expect((await off.shim("requests")).out).toBe(`Answers from here are off: ${how}`);
  for (const command of ["requests answer ab1 allow", "requests message aaaa hi"])
    expect(await off.shim(command)).toMatchObject(failed(1, `answers from elsewhere are off. ${how}`));
});

it("what an answer decides beyond its request is said before it is given", async () => {
  const home = answering();
  home.runtime.store.write((sql) => sql.run("UPDATE sessions SET client = 'opencode' WHERE id = ?", ids.alive));
  void asks(home, "ab1", { grant: { text: "bash: rm *", rules: [] }, decisions: ["allow", "session", "deny"] });
  void asks(home, "ab2", { kind: "question", tool: "AskUserQuestion" });
  const lines = (await home.shim("requests")).out.split("\n").filter((line) => line.includes("window"));
  expect(lines).toEqual([
    "    OpenCode allows for the session in all chats of this window; a Deny denies all that this chat asks at the moment.",
  ]);
});

it("the host of this machine says how many chats it serves, is ended, and one that answers nonsense is named", async () => {
  const home = aCliHome();
  const runtime = tempRuntime({ paths: home.paths });
  Object.assign(runtime.processes, { boot: () => systemProcesses.boot() });
  expect(await home.json("call host.status")).toEqual({ host: null });
  const host = await aHost(runtime);
  expect(await home.json("call host.status")).toMatchObject({ host: { pid: 7_000, version: "2.0.0", chats: [] } });
  await aFront(host, { pid: 101, clientPid: 100 });
  const chats = [{ front: 101, client: 100, isConnected: true }];
  expect(await home.json("call host.status")).toMatchObject({ host: { pid: 7_000, chats } });
  expect(await home.json("call host.stop")).toMatchObject({ host: { pid: 7_000 } });
  await host.ended;
  expect(await home.json("call host.stop")).toEqual({ host: null });
  vi.stubEnv("TMPDIR", temporaryFolder());
  onTestFinished(() => void vi.unstubAllEnvs());
  const other = aCliHome();
  // The socket of a home with a long path is in a folder of the system's.
  const long = join(other.folder, "x".repeat(90));
  const folder = dirname(hostSocket(long, systemProcesses.boot()));
  mkdirSync(folder, { mode: 0o755 });
  const open = `shim: ${folder} belongs to another user, or others may enter it. Remove it, or set SHIM_HOME to a shorter path.\n`;
  for (const command of ["call host.status", "call host.stop"])
    expect(await other.shimWith({ env: { SHIM_HOME: long } }, command)).toMatchObject({ code: 1, err: open });
  mkdirSync(other.paths.home, { recursive: true });
  const socket = hostSocket(other.paths.home, systemProcesses.boot());
  const server = createServer((_request, response) => void response.end("nonsense")).listen(socket);
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const silent = failed(1, `The host at ${socket} does not answer. The next message of a chat`);
  for (const command of ["call host.status", "call host.stop"])
    expect([command, await other.shim(command)]).toMatchObject([command, silent]);
});
