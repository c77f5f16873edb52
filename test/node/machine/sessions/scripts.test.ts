import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { codexHead, codexRow } from "#harness/clients/invented-transcripts.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { aChat, aDeadClaude, claimOf, Claude, storedSession } from "#harness/machine/claude.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";
import { anUndoRig } from "#harness/machine/cli-rigs.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { aTranscript, anAssistantLine, aUserLine } from "#harness/machine/transcripts.ts";
import { claudeCode } from "#src/clients/claude-code/claude-code.ts";
import type { HookInput } from "#src/contract/hooks.ts";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { spoolEvent } from "#src/local-mcp/events/spool-event.ts";
import { importTranscript } from "#src/machine/sessions/transcripts/import-transcript.ts";

const [deadId = "", closedId = "", nextId = ""] = ["a", "b", "c"].map(
  (at) => `${at}0487890-04b4-4fe0-bbd5-6aa531354563`,
);

/** A `claude -p` of the same machine. */
function aScript(
  runtime: TempRuntime,
  cwd: string,
  pid: number,
  session = `${pid}0000-0000-4000-8000-000000000000`,
): Claude {
  const env = { ...runtime.env, CLAUDE_CODE_ENTRYPOINT: "sdk-cli" };
  return new Claude({ ...runtime, env }, { session, pid, cwd });
}

/** The machine of a home, whose processes the chats start and end. */
function runtimeOf({ runtime, alive }: CliHome): TempRuntime {
  const start = (pid: number): void => void alive.add(pid);
  const kill = (pid: number): void => void alive.delete(pid);
  const wait = (ms: number): void => void ((runtime as TempRuntime).clock.now += ms);
  return Object.assign(runtime, { processes: { ...runtime.processes, start, kill }, wait }) as unknown as TempRuntime;
}

/** Two chats of a person in the project, one killed at work and one left in order, then 60 runs of scripts. */
function aProjectWithScripts() {
  const home = aCliHome();
  const runtime = runtimeOf(home);
  const chat = (session: string, pid: number): Claude => new Claude(runtime, { session, pid, cwd: home.project });
  const [dead, closed] = [chat(deadId, 1_000), chat(closedId, 1_001)];
  dead.start();
  dead.prompt("migrate the store");
  dead.use("Bash", { command: "git push origin store" });
  dead.begin("Bash", { command: "make migrate" });
  closed.start();
  closed.turn("explain the parser");
  dead.kill();
  closed.end();
  for (let at = 0; at < 60; at++) {
    const script = aScript(runtime, home.project, 5_000 + at);
    script.start();
    script.prompt("cron job: check the links");
    if (at % 2 === 0) script.end("other");
    else script.begin("Bash", { command: "git push" });
    script.kill();
  }
  return { home, next: () => chat(nextId, 9_000).start() };
}

it("60 runs of scripts, half of them killed, stand in no list in the place of a person's chats, and the lists say how many they are", async () => {
  const { home, next } = aProjectWithScripts();
  const shown = async (command: string): Promise<readonly string[]> => {
    const { out } = await home.shim(command);
    const words = [
      /migrate the store/,
      /explain the parser/,
      /cron job/,
      /60 runs of scripts/,
      /1 ended in the last day/,
    ];
    return words.flatMap((one) => one.exec(out)?.[0] ?? []);
  };
  const own = ["migrate the store", "explain the parser"];
  expect(await shown("sessions")).toEqual([...own, "60 runs of scripts"]);
  expect(await shown("sessions --scripts")).toEqual([...own, "cron job"]);
  expect(await shown("sessions --incomplete")).toEqual(["migrate the store", "60 runs of scripts"]);
  expect(await shown("up --once")).toEqual(["migrate the store", "60 runs of scripts", "1 ended in the last day"]);
  expect(await shown("rescue")).toEqual(["explain the parser"]);
  expect(await shown("fork --list")).toEqual(["explain the parser"]);
  expect((await home.shim("effects --limit 5")).out).toContain("git push origin store");
  expect((await home.shim("sessions --incomplete --scripts --json")).json()["sessions"]).toHaveLength(20);
  const context = next();
  expect(context).toContain("migrate the store");
  expect(context).not.toContain("more incomplete");
});

it("where no person has a chat, the runs of scripts are listed and offered", async () => {
  const home = aCliHome();
  const runtime = runtimeOf(home);
  const script = aScript(runtime, home.project, 5_000);
  script.start();
  script.prompt("cron job: check the links");
  script.begin("Bash", { command: "make" });
  script.kill();
  expect((await home.shim("sessions")).out).toMatch(/cron job(?![^]*runs? of scripts)/);
  const person = new Claude(runtime, { session: nextId, pid: 9_000, cwd: home.project });
  expect(person.start()).toContain("cron job");
});

it("an undo takes back what a person's chat has changed, though a script has changed files since", async () => {
  const rig = anUndoRig({ "a.txt": "0\n", "b.txt": "0\n" });
  const edit = (path: string) => ({ tool: "Edit", path, work: () => write(rig.project, { [path]: "1\n" }) });
  await rig.turn("edit a", edit("a.txt"));
  rig.runtime.env["CLAUDE_CODE_ENTRYPOINT"] = "sdk-cli";
  Object.assign(rig.claude, { session: nextId, pid: 5_000 });
  rig.claude.start();
  await rig.turn("edit b", edit("b.txt"));
  expect((await rig.preview()).changes.map(({ path }) => path)).toEqual(["a.txt"]);
});

it.each([{ SHIM_TASK: "7" }, { CLAUDE_CODE_ENTRYPOINT: "sdk-ts" }])(
  "a run without a person (%o) is none of a person where its events waited in the spool of a host that has another environment",
  (env) => {
    const { runtime, claude } = aChat({ env: { CLAUDE_CODE_ENTRYPOINT: "cli" } });
    const input = claude.input("SessionStart", { source: "startup" }) as HookInput;
    spoolEvent({ ...runtime, env }, { client: claudeCode, event: "SessionStart", input, clientPid: claude.pid });
    drainInto(runtime);
    expect(storedSession(runtime, claude.session).isScripts).toBe(true);
  },
);

it("a script that goes on with a person's chat leaves it the person's, however often; a person who goes on with a script's has it", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.turn("fix it");
  claude.kill();
  const script = aScript(runtime, claude.cwd, 5_000);
  script.start();
  script.turn("check the links");
  expect(storedSession(runtime, script.session).isScripts).toBe(true);
  script.kill();
  for (let pid = 5_001; pid < 5_004; pid++) {
    const next = aScript(runtime, claude.cwd, pid, claude.session);
    next.start("resume");
    next.kill();
  }
  expect(storedSession(runtime, claude.session).isScripts).toBe(false);
  new Claude(runtime, { session: script.session, pid: 9_000, cwd: claude.cwd }).start("resume");
  expect(storedSession(runtime, script.session).isScripts).toBe(false);
});

it("the transcripts of Codex and of Claude Code say that a script began them", async () => {
  const runtime = tempRuntime();
  const folder = temporaryFolder();
  const path = join(folder, "rollout.jsonl");
  const { payload, ...meta } = codexHead("0.171.0");
  const rows = [
    { ...meta, payload: Object.assign({}, payload, { source: "exec" }) },
    codexRow(1, "event_msg/user_message", { message: "check" }),
  ];
  writeFileSync(path, aTranscript(...rows.map((row) => JSON.stringify(row))));
  const codex = new RecordedClient(runtime, "codex");
  const about = { session_id: "a-run", cwd: folder, transcript_path: path };
  const dead = aDeadClaude(runtime, "fix the parser", { cwd: folder });
  const begun = JSON.stringify(codex.send("SessionStart", about));
  expect([codex.session("a-run")?.isScripts, claimOf(runtime, dead.session)]).toEqual([true, null]);
  expect(begun).toContain("Otherwise ignore this");
  codex.sendEach("UserPromptSubmit Stop SessionStart-compact", about);
  expect(codex.session("a-run")?.isScripts).toBe(true);
  codex.send("SessionStart-resume", about);
  expect(codex.session("a-run")?.isScripts).toBe(false);
  for (const [entrypoint, isScripts] of [
    ["sdk-cli", true],
    ["cli", false],
  ] as const) {
    const file = join(folder, `${entrypoint}.jsonl`);
    const row = { entrypoint, sessionId: entrypoint };
    writeFileSync(file, aTranscript(aUserLine("hello", row), anAssistantLine({}, row)));
    await importTranscript(runtime, { path: file, folder });
    expect(storedSession(runtime, entrypoint).isScripts).toBe(isScripts);
  }
});
