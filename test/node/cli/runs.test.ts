import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aSeededHome, type CliHome, failed, ids, printed } from "#harness/machine/cli-home.ts";
import { patience } from "#harness/machine/programs.ts";
import { aTranscript, aUserLine } from "#harness/machine/transcripts.ts";
import type { RunRule } from "#src/contract/config.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";
import { claimOf } from "#src/machine/sessions/recoveries.ts";
import type { Program, ProgramExit } from "#src/platform/run-program.ts";
import { HostedRuns } from "#src/runtime/hosted-runs.ts";
import { OpenWindows } from "#src/runtime/open-windows.ts";

/** A program that the host has started; the test says how it ends. */
interface Started extends Pick<Program, "command" | "args" | "cwd" | "env" | "input" | "onStderr"> {
  end(code: number): void;
}

/** A machine whose host starts clients that the test plays, in `project`. */
function starting(rule: Partial<RunRule> | null = {}) {
  const home = aSeededHome();
  const started: Started[] = [];
  const runs = new HostedRuns((program) => {
    const { promise, resolve } = Promise.withResolvers<ProgramExit>();
    const end = (code: number): void => resolve({ kind: "exited", code });
    program.signal.addEventListener("abort", () => end(143));
    started.push({ ...program, end });
    program.onStart?.(900);
    return promise;
  });
  const config = { ...home.runtime.config, runs: rule === null ? [] : [{ project: home.project, ...rule }] };
  Object.assign(home.runtime, { runs, config, random: (bytes: number) => randomBytes(bytes) });
  return { home, started };
}

function withWholeTranscript({ folder, runtime }: CliHome, session = ids.dead): void {
  const path = join(folder, "transcript.jsonl");
  writeFileSync(path, aTranscript(aUserLine("fix the parser", { sessionId: session })));
  runtime.store.write((sql) => sql.run("UPDATE sessions SET transcriptPath = ? WHERE id = ?", path, session));
}

const actions = ({ runtime }: CliHome, count: number): unknown[] =>
  listNewest(runtime, count).map(({ kind, subject, actor, detail }) => [kind, subject, actor, detail]);

it("no client is started where no rule of its project, or one that is over, allows it", async () => {
  for (const rule of [null, { until: "2001-01-01T00:00:00Z" }, { project: "/elsewhere" }]) {
    const { home, started } = starting(rule);
    withWholeTranscript(home);
    const why = `no client may be started or stopped in ${home.project} from elsewhere. \`shim runs allow ${home.project}\``;
    const begin = ["--project", home.project, "--client", "codex", "hi"];
    expect(await home.shim(`runs start --session ${ids.dead} hi`)).toMatchObject(failed(1, why));
    expect(await home.shim("runs start", ...begin)).toMatchObject(failed(1, why));
    expect(started).toEqual([]);
  }
});

it("runs are allowed in a project for a time, and forbidden again; its options stay", async () => {
  const home = aSeededHome();
  const rules = (): unknown => (JSON.parse(readFileSync(home.paths.config, "utf8")) as { runs: unknown }).runs;
  expect((await home.shim("runs")).out).toContain("No client may be started from elsewhere");
  expect(await home.shim("runs allow")).toMatchObject(printed(`from elsewhere in ${home.project}.`));
  await home.shim("config set runs", JSON.stringify([{ project: home.project, args: { codex: ["--full-auto"] } }]));
  await home.shim("runs allow --for 8h");
  const until = new Date(home.now + 28_800_000).toISOString();
  expect(rules()).toEqual([{ project: home.project, until, args: { codex: ["--full-auto"] } }]);
  await home.shim("runs allow", home.other);
  await home.shim("runs forbid");
  expect(rules()).toEqual([{ project: home.other }]);
  expect(await home.shim("config set runs", '[{"project":"here"}]')).toMatchObject(failed(2, "absolute folder"));
});

it("a session that died is continued by its client without a terminal, with the words, and how it ends is said and audited", async () => {
  const { home, started } = starting({ args: { "claude-code": ["--permission-mode", "acceptEdits"] } });
  withWholeTranscript(home);
  const begun = await home.json(`runs start --session ${ids.dead}`, "go on with the tests");
  expect(begun).toMatchObject({ session: ids.dead, client: "Claude Code", project: home.project, isContinued: true });
  const [one] = started;
  expect(one).toMatchObject({
    command: "claude",
    args: ["-p", "--resume", ids.dead, "--permission-mode", "acceptEdits"],
    cwd: home.project,
    input: "go on with the tests",
  });
  expect(one?.env).toMatchObject({ SHIM_HOME: home.paths.home, CLAUDE_CODE_ENTRYPOINT: "shim" });
  const listed = async (): Promise<unknown> => (await home.json("runs"))["runs"];
  expect(await listed()).toMatchObject([{ session: ids.dead, state: "runs", by: "the command line" }]);
  one?.onStderr("no credit: sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789\n");
  one?.end(1);
  const failedRun = { state: "failed", text: expect.stringContaining("no credit") as string };
  await expect.poll(listed, patience).toMatchObject([failedRun]);
  expect((await home.shim("runs")).out).toContain("failed");
  expect(JSON.stringify(await listed())).not.toContain("sk-ant-api03-abc");
  const subject = ids.dead.slice(0, 8);
  expect(actions(home, 2)).toEqual([
    ["run.ended", subject, "command line", { result: "failed" }],
    ["run.started", subject, "command line", { result: "claude-code: begun" }],
  ]);
});

it("of two starts of one session the second one is refused; a secret that the cut of a run's last words meets is not shown", async () => {
  const { home, started } = starting();
  withWholeTranscript(home);
  await home.json(`runs start --session ${ids.dead}`, "go on");
  const again = await home.shim(`runs start --session ${ids.dead} again`);
  expect(again).toMatchObject(failed(1, "the host has started its client already"));
  expect(started).toHaveLength(1);
  const secret = `ghp_${"a1B2".repeat(9)}`;
  started[0]?.onStderr(`${secret} ${"x".repeat(580)}`);
  const [run] = (await home.json("runs"))["runs"] as { text: string }[];
  expect([run?.text.length, run?.text.includes("a1B2")]).toEqual([600, false]);
  const lines = Array.from({ length: 50 }, () => "c3D4".repeat(16));
  const key = ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----"].join("\n");
  started[0]?.onStderr(`${key}\nThe end.`);
  const [later] = (await home.json("runs"))["runs"] as { text: string }[];
  expect([later?.text.endsWith("The end."), later?.text.includes("c3D4")]).toEqual([true, false]);
});

it("a session whose window is open is not continued beside it, since two programs would write one transcript; a new chat with its brief is", async () => {
  const { home, started } = starting();
  withWholeTranscript(home, ids.alive);
  const why = "its client runs: write to it (`shim requests message <session> <text>`), or begin a new chat";
  expect(await home.shim(`runs start --session ${ids.alive} hi`)).toMatchObject(failed(1, why));
  expect(started).toEqual([]);
  const begun = await home.json(`runs start --session ${ids.alive} --is-new`, "and the docs?");
  expect(begun).toMatchObject({ isContinued: false });
  const [one] = started;
  expect(one?.args.slice(0, 2)).toEqual(["-p", "--session-id"]);
  expect(one?.input).toMatch(/shim-recovered-session[\s\S]*\n\nand the docs\?$/);
  expect(home.runtime.store.read((sql) => claimOf(sql, ids.alive), null)).toBeNull();
});

it("a session that its client cannot go on with is continued by a new chat with its brief, which takes it", async () => {
  const { home, started } = starting();
  const begun = await home.json(`runs start --session ${ids.dead} --client codex`, "go on");
  expect(begun).toMatchObject({ client: "Codex", isContinued: false, session: null });
  expect(started[0]).toMatchObject({ command: "codex", args: ["exec", "-"] });
  expect(started[0]?.input).toMatch(/shim-recovered-session[\s\S]*\n\ngo on$/);
  const claim = () => home.runtime.store.read((sql) => claimOf(sql, ids.dead), null);
  expect(claim()).toMatchObject({ is: "taken", by: started[0]?.env["SHIM_SUCCESSOR"] });
  // Its chat has never begun.
  await home.runtime.runs.stopAll();
  await expect.poll(claim, patience).not.toMatchObject({ is: "taken" });
});

it("a run is stopped by its id or its session", async () => {
  const { home, started } = starting();
  withWholeTranscript(home);
  const { run } = await home.json(`runs start --session ${ids.dead}`, "go on");
  expect((await home.shim(`runs stop ${ids.dead}`)).out).toBe(`The run ${String(run)} was stopped.\n`);
  expect((await home.json("runs"))["runs"]).toMatchObject([{ run, state: "stopped" }]);
  expect(started).toHaveLength(1);
  const subject = ids.dead.slice(0, 8);
  expect(actions(home, 2)).toEqual([
    ["run.ended", subject, "command line", { result: "stopped" }],
    ["run.stopped", subject, "command line", { result: "done" }],
  ]);
});

const stop = (home: CliHome) => home.shim(`runs stop ${ids.alive}`);

it("the turn of a chat in a window is stopped where its client takes that and its project is allowed", async () => {
  const acts: unknown[] = [];
  const take = (...act: readonly object[]): Promise<boolean> => Promise.resolve(acts.push(act) > 0);
  const aWindow = (rule: Partial<RunRule> | null = {}, client = "codex"): CliHome => {
    const { home } = starting(rule);
    Object.assign(home.runtime, { windows: new OpenWindows(take) });
    home.runtime.store.write((sql) => {
      sql.run("UPDATE sessions SET client = ? WHERE id = ?", client, ids.alive);
      journal.append(sql, ids.alive, home.now, "prompt:one", { kind: "prompt", text: "build it" });
    });
    return home;
  };
  expect(await stop(aWindow(null))).toMatchObject(failed(1, "no client may be started or stopped in"));
  const why = "Gemini CLI takes no stop from elsewhere: stop it in its terminal (Esc).";
  expect(await stop(aWindow({}, "gemini"))).toMatchObject(failed(1, why));
  expect(acts).toEqual([]);
  const home = aWindow();
  expect(await stop(home)).toMatchObject(printed(`Stop was sent to ${ids.alive}.`));
  expect(acts).toMatchObject([[{ session: ids.alive, client: "codex" }, { stop: true }]]);
  expect(actions(home, 1)).toEqual([["turn.stopped", ids.alive.slice(0, 8), "command line", { result: "sent" }]]);
  home.runtime.store.write((sql) => journal.append(sql, ids.alive, home.now, "turn:one", { kind: "turn_end" }));
  expect(await stop(home)).toMatchObject(failed(1, "no turn of it is at work"));
});

it("a command that a chat has started starts and stops no client", async () => {
  const { home, started } = starting();
  withWholeTranscript(home);
  const env = { ...home.runtime.env, CLAUDE_CODE_SESSION_ID: ids.alive };
  for (const command of [`runs start --session ${ids.dead} hi`, `runs stop ${ids.dead}`])
    expect(await home.shimWith({ env }, command)).toMatchObject(failed(1, "only its user may start or stop clients"));
  expect(started).toEqual([]);
});

it("a new chat begins in a project with a chosen client, and at most ten run at once", async () => {
  const { home, started } = starting();
  const begin = (client: string) => home.shim("runs start", "--project", home.project, "--client", client, "say hello");
  for (const client of ["claude-code", "codex", "opencode", "qwen", "gemini", "copilot"])
    expect(await begin(client)).toMatchObject({ code: 0 });
  expect(started.map(({ command, args }) => [command, args[0]])).toEqual([
    ["claude", "-p"],
    ["codex", "exec"],
    ["opencode", "run"],
    ["qwen", "--session-id"],
    ["gemini", "--session-id"],
    ["copilot", "--session-id"],
  ]);
  for (let at = 0; at < 4; at++) await begin("codex");
  expect(await begin("codex")).toMatchObject(failed(1, "10 runs are at work"));
  expect(await home.shim("runs start hi")).toMatchObject(failed(2, "name a session, or a project"));
  const gone = join(home.project, "gone");
  const wrong = await home.shim("runs start", "--project", gone, "--client", "codex", "hi");
  expect(wrong).toMatchObject(failed(2, "there is no folder"));
});
