import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import type { Io } from "#src/cli/io.ts";
import { findSupervisor } from "#src/platform/supervisor-mark.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { aCliHome, failed, holding, linesOf, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { canRunGit } from "#harness/machine/cli-rigs.ts";
import { systemdUnit } from "#src/installer/service.ts";
import { formatEvent } from "#src/cli/commands/run-supervisor.ts";
import type { SupervisorEvent } from "#src/runner/supervisor/supervised-program.ts";
import { openTerminal } from "#src/runner/supervisor/supervisor-daemon.ts";

const node = process.execPath;
const says = `const say = (event) => console.log(JSON.stringify(event));
process.stdin.on("data", (text) => String(text).includes('"interrupt"') && process.exit(1));
`;

/** Stands for Claude Code, and does this. */
function claude(script: string): object {
  const program = join(temporaryFolder(), "claude");
  writeFileSync(program, `#!${node}\n${says}${script}`, { mode: 0o755 });
  return { kind: "claude", folder: ".", prompt: "Make it.", program };
}

/** It says a word, and is done. */
const done = `const content = [{ type: "text", text: "made " + process.cwd() }];
say({ type: "assistant", message: { id: "m", content }, parent_tool_use_id: null });
say({ type: "result", subtype: "success", is_error: false, result: "made" });
process.exit();`;
const idle = "setInterval(() => 0, 1000);";

function aHome(settings?: object | string): CliHome {
  const home = aCliHome();
  canRunGit(home);
  const text = typeof settings === "string" ? settings : JSON.stringify(settings);
  if (settings !== undefined) write(home.paths.home, { "supervisor.json": text });
  return home;
}

/** A supervisor that is this process has left its mark. */
function own(home: CliHome, pid: number, boot = "boot-1"): void {
  write(home.paths.home, { "supervisor/owner.json": JSON.stringify({ boot, pid, start: `s${pid}` }) });
}

/** A supervisor in this process: `until` sees all that it has printed, and says when it is asked to end. */
async function supervise(home: CliHome, until: (out: string) => boolean) {
  let interrupt: (() => void) | null = null;
  let out = "";
  const wait: Io["wait"] = async (ms, signal) => {
    await pause(5);
    if (!signal.aborted) home.now += Math.min(ms, 1_000);
    if (!until(out)) return;
    interrupt?.();
    interrupt = null;
  };
  const onInterrupt: Io["onInterrupt"] = (asked) => ((interrupt = asked), () => undefined);
  const stdout = (text: string): void => void (out += text);
  const { code, err } = await home.shimWith({ wait, onInterrupt, stdout }, "worker supervise --json");
  return { code, err, lines: code === 0 ? linesOf<{ event: string; name?: string }>(out) : [] };
}

it("it does what supervisor.json says, reports it line by line, and ends when it is asked to", async () => {
  const home = aHome({ watch: { once: claude(done), idle: claude(idle) } });
  const { code, err, lines } = await supervise(home, (out) => out.includes('"finished"'));
  expect([code, err]).toEqual([0, ""]);
  expect(lines[0]).toMatchObject({ event: "supervising", pid: process.pid, watched: ["once", "idle"] });
  const output = { event: "output", name: "once", text: `made ${home.paths.home}` };
  expect(lines).toContainEqual(expect.objectContaining(output));
  const finished = { name: "once", phase: "finished" };
  const due = { name: "idle", phase: "due" };
  expect(lines.filter(({ event }) => event === "ended")).toMatchObject([finished, due]);
  expect(lines.at(-1)).toEqual({ event: "over" });
  const left = { ...due, reason: "it ended with its supervisor", againInMs: 0 };
  const watched = [{ ...finished, kind: "claude" }, left];
  expect(await home.json("worker supervise status")).toMatchObject({ pid: null, watched });
  const next = /^idle +claude +it ended with its supervisor; starts with the next one$/m;
  expect(await home.shim("worker supervise status")).toMatchObject(printed("No supervisor is running", next));
});

const aClaude = (more: string): string => `{"watch": {"a": {"kind": "claude", "folder": ".", "prompt": "x", ${more}}}}`;

it("what is wrong in the settings is said, with its line, and nothing is started", async () => {
  expect(await aHome().shim("worker supervise")).toMatchObject(failed(3, /there is no .*supervisor\.json.*"watch"/s));
  for (const [text, said] of [
    ["{", /line 1/],
    ['{"watch": {}}', /line 1: watch: name something/],
    ['{\n"watch": {"a": {"kind": "nothing"}}}', /line 2: watch\.a\.kind: one of /],
    ['{"watch": {"a": {"kind": "sessions"}},\n"memory": 1}', /line 2: no such field: "memory"/],
    [aClaude('"program": "no-such-program"'), /a: there is no program no-such-program/],
    [aClaude('"args": ["--resume=x"]'), /a\.args: SHIM sets -p, the session and the output format itself/],
    [aClaude('"args": ["--input-format", "text"]'), /a\.args: SHIM sets -p/],
  ] as const)
    expect([text, await aHome(text).shim("worker supervise")]).toMatchObject([text, { ...failed(2, said), out: "" }]);
  const damaged = aHome({ watch: { a: claude(done) } });
  write(damaged.paths.home, { "supervisor/state.json": "{" });
  expect(await damaged.shim("worker supervise")).toMatchObject(failed(1, /state\.json is damaged: remove it/));
  expect(findSupervisor(damaged.paths.home, damaged.runtime.processes)).toBeNull();
});

it("retry is heard by the supervisor that runs, or by the next one; stop finds none, and ends none of another container", async () => {
  const home = aHome({ watch: { a: claude(done), chats: { kind: "sessions" } } });
  await supervise(home, (out) => out.includes('"finished"'));
  const out = "a starts again with the next `shim worker supervise`.\n";
  expect(await home.shim("worker supervise retry a")).toMatchObject({ code: 0, out });
  expect(await home.shim("worker supervise status")).toMatchObject(printed(/^chats +sessions +not watched now$/m));
  const { lines } = await supervise(home, (text) => text.includes('"finished"'));
  expect(lines.filter(({ event }) => event === "started")).toHaveLength(1);
  const unknown = failed(3, /no program ".*" is watched\. There are: a\./);
  for (const name of ["chats", "b", "toString"])
    expect(await home.shim("worker supervise retry", name)).toMatchObject(unknown);
  expect(await home.shim("worker supervise stop")).toMatchObject(failed(3, /no supervisor is running/));
  home.alive.add(4_000);
  const state = join(home.paths.home, "supervisor", "state.json");
  writeFileSync(state, readFileSync(state, "utf8").replace('"finished"', '"running"'));
  own(home, 4_000);
  expect(await home.shim("worker supervise retry a")).toMatchObject(failed(1, /a is running; nothing was changed/));
  own(home, 1, "boot-1 pid:[2]");
  expect((await home.shim("worker supervise stop")).err).toMatch(/runs in another container/);
});

it("status names the supervisor that runs; stop asks it to end and waits until it is gone", async () => {
  const home = aHome({ watch: { a: claude(done) } });
  const child = spawn(node, ["-e", "setInterval(() => 0, 1000)"], { stdio: "ignore" });
  const pid = child.pid ?? 0;
  home.alive.add(pid);
  const gone = once(child, "exit");
  void gone.then(() => home.alive.delete(pid));
  own(home, pid);
  const status = printed(`Supervisor: pid ${pid}.\n`, /^a +claude +not started yet/m);
  expect(await home.shim("worker supervise status")).toMatchObject(status);
  const { signal } = new AbortController();
  const ran = await home.shimWith({ interrupted: () => signal, wait: async () => pause(5) }, "worker supervise stop");
  expect([ran.code, ran.out]).toEqual([0, `Supervisor ${pid} has ended.\n`]);
  expect(await gone).toEqual([null, "SIGTERM"]);
});

it("status and retry ask what is recorded: the caller's PATH need not have the programs", async () => {
  const missing = { ...claude(done), program: "not-on-this-path" };
  const home = aHome({ watch: { a: missing } });
  expect(await home.shim("worker supervise status")).toMatchObject(printed(/^a +claude +not started yet/m));
  expect((await home.shim("worker supervise retry a")).code).toBe(0);
  expect(await home.shim("worker supervise")).toMatchObject(failed(2, "there is no program not-on-this-path"));
});

it("of many that begin at once one supervises", async () => {
  const home = aHome({ watch: { chats: { kind: "sessions" } } });
  // A dead one.
  own(home, 4_000);
  let refused = 0;
  const all = Array.from({ length: 5 }, async () => {
    const { code, err } = await supervise(home, () => refused === 4);
    if (code === 1) refused += 1;
    expect(err).toMatch(code === 1 ? /already running.*supervise stop/ : /^$/);
    return code;
  });
  expect((await Promise.all(all)).toSorted((a, b) => a - b)).toEqual([0, 1, 1, 1, 1]);
  expect(findSupervisor(home.paths.home, home.runtime.processes)).toBeNull();
});

/** A user whose systemd answers, but for this word of its command line. */
function aRig(broken = "none", more: Partial<Io> = {}) {
  const home = aHome({ watch: { w: { kind: "worker", args: ["--config", "w.yaml"] }, chats: { kind: "sessions" } } });
  const unit = join(home.folder, ".config", "systemd", "user", "shim.service");
  const ran: string[] = [];
  const runQuietly: Io["runQuietly"] = (command, args) => {
    ran.push([command, ...args].join(" "));
    return args.includes(broken) ? { code: 1, text: "Failed to connect to bus\n" } : { code: 0, text: "active\n" };
  };
  const shim = (command: string) => home.shimWith({ runQuietly, ...more }, `worker service ${command}`);
  return { home, unit, ran, shim };
}

it("install writes the unit with absolute paths and starts it; status and uninstall know it", async () => {
  const rig = aRig();
  expect(await rig.shim("status")).toMatchObject({ code: 0, out: "Not installed: `shim worker service install`.\n" });
  const shown = await rig.shim("install --dry-run");
  expect([shown.code, existsSync(rig.unit), rig.ran]).toEqual([0, false, []]);
  expect((await rig.shim("install --yes")).code).toBe(0);
  const text = readFileSync(rig.unit, "utf8");
  expect(shown.out).toBe(`# ${rig.unit}\n${text}`);
  const { node, script } = rig.home.io().launch;
  expect(text).toContain(`ExecStart=/usr/bin/env "${node}" "${script}" worker supervise\n`);
  expect(text).toContain(`Environment="SHIM_HOME=${rig.home.paths.home}"\n`);
  expect(rig.ran.slice(1)).toEqual(["systemctl --user daemon-reload", "systemctl --user enable --now shim.service"]);
  expect((await rig.shim("status --json")).json()).toMatchObject({ isInstalled: true, state: "active" });
  expect([(await rig.shim("uninstall")).code, existsSync(rig.unit)]).toEqual([1, true]);
  expect([(await rig.shim("uninstall --yes")).code, existsSync(rig.unit)]).toEqual([0, false]);
  expect(rig.ran.slice(-2)).toEqual(["systemctl --user disable --now shim.service", "systemctl --user daemon-reload"]);
  expect((await rig.shim("uninstall --yes")).code).toBe(3);
});

it("nothing is changed without consent, beside a running supervisor, with wrong settings, or where systemd does not answer", async () => {
  const rig = aRig("show-environment");
  expect(await aRig().shim("install")).toMatchObject(failed(1, /--yes/));
  expect(await rig.shim("install --yes")).toMatchObject(failed(1, /Failed to connect to bus.*--dry-run/));
  const without = aRig("none", { runQuietly: () => null });
  expect((await without.shim("install --yes")).err).toMatch(/systemctl was not found: nothing was changed/);
  const { home } = rig;
  home.alive.add(77);
  own(home, 77);
  expect((await rig.shim("install --yes")).err).toMatch(/is already running, pid 77/);
  write(home.paths.home, { "supervisor.json": "{}" });
  expect((await rig.shim("install --yes")).code).toBe(2);
  expect([existsSync(rig.unit), existsSync(without.unit)]).toEqual([false, false]);
});

it("a file of the user's own is neither replaced nor removed; what systemctl refuses is said", async () => {
  const rig = aRig();
  write("/", { [rig.unit]: "[Unit]\n" });
  for (const action of ["install", "uninstall"])
    expect(await rig.shim(`${action} --yes`)).toMatchObject(failed(1, /was not written by SHIM/));
  expect(readFileSync(rig.unit, "utf8")).toBe("[Unit]\n");
  const refused = failed(1, /enable --now shim\.service: Failed to connect/);
  expect(await aRig("enable").shim("install --yes")).toMatchObject(refused);
  const running = aRig("disable");
  await running.shim("install --yes");
  expect(await running.shim("uninstall --yes")).toMatchObject(failed(1, /disable --now shim\.service: Failed/));
  expect([existsSync(running.unit), running.ran.at(-1)]).toEqual([true, expect.stringContaining("disable")]);
});

const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

it.skipIf(!hasSystemd)("systemd accepts the unit, with any path (needs systemd-analyze)", () => {
  const unit = join(temporaryFolder(), "shim.service");
  // Each part of its name means something to systemd.
  const home = join(temporaryFolder(), `a b %h $HOME "q" \\x & <c>`);
  write(home, { node: "#!/bin/sh\n" });
  chmodSync(join(home, "node"), 0o755);
  const launch = { node: join(home, "node"), script: join(home, "shim.mjs"), hookScript: "" };
  const good = systemdUnit({ launch, home, path: `/usr/bin:${home}`, stopSeconds: 95 });
  for (const [text, status] of [
    [good, 0],
    [good.replace("ExecStart=", "ExecStart=nowhere/"), 1],
  ] as const) {
    writeFileSync(unit, text);
    const ran = spawnSync("systemd-analyze", ["verify", "--man=no", unit], { encoding: "utf8" });
    expect([ran.status, status === 0 ? ran.stderr : ""]).toEqual([status, ""]);
  }
});

it("what opens a terminal runs in the chat's folder, in a group of its own, and is not waited for", async () => {
  const folder = realpathSync(temporaryFolder());
  const script = `require("node:fs").writeFileSync("pid.txt", String(process.pid)); setInterval(() => 0, 1000)`;
  await openTerminal(process.execPath, ["-e", script], folder);
  const path = join(folder, "pid.txt");
  const pid = await vi.waitUntil(() => existsSync(path) && Number(readFileSync(path, "utf8")), patience);
  // The whole group, so it leads one.
  expect(process.kill(-pid, "SIGKILL")).toBe(true);
  await expect(openTerminal("shim-no-such-program", [], folder)).rejects.toMatchObject({ code: "ENOENT" });
});

it("each line that a program prints is shown, and nothing in it moves the cursor", () => {
  const lines = formatEvent({ type: "output", name: "fix", text: "one\n\u001b[2Jtwo\r\nthree" });
  expect(lines).toEqual(["fix | one", holding("two"), "fix | three"]);
  // eslint-disable-next-line no-control-regex -- control characters are searched for
  expect(lines.join("")).not.toMatch(/[\u0000-\u001f]/);
});

it("each event of a supervisor is one line, and says how what it no longer starts is started", () => {
  const ended = {
    type: "ended",
    name: "w",
    reason: "code 1",
    againInMs: 2_000,
    ranMs: 60_000,
    isProgram: true,
  } as const;
  const died = { type: "died", name: "chats", session: "s1", cause: "out_of_memory" } as const;
  const crashed = "stopped, since it crashed again and again: code 1; it ran for 60 s";
  const events: readonly (readonly [SupervisorEvent, line: string])[] = [
    [{ type: "supervising", pid: 7, watched: ["w", "chats"] }, "supervises w, chats (pid 7)"],
    [{ type: "started", name: "w", how: "new", session: null }, "w: started (new)"],
    [{ ...ended, phase: "due" }, "w: code 1; starts in 2 s; it ran for 60 s"],
    [{ ...ended, phase: "looping" }, `w: ${crashed}. \`shim worker supervise retry w\` starts it`],
    [{ ...ended, phase: "looping", isProgram: false }, `w: ${crashed}`],
    [{ ...died, checkpoint: null }, "chats: session s1 died (out of memory), with nothing to save"],
    [{ ...died, checkpoint: "c1" }, "chats: session s1 died (out of memory), its last checkpoint is c1"],
    [{ type: "restarting", name: "chats", session: "s1", how: "-r" }, "chats: session s1 is started again (-r)"],
    [{ type: "held", name: "w", reason: "no memory" }, "w: not started now: no memory"],
    [{ type: "ending", reason: "asked to" }, "ends (asked to)"],
    [{ type: "problem", name: "w", message: "no disk" }, "w: problem: no disk"],
    [{ type: "problem", name: null, message: "no\ndisk" }, "problem: no disk"],
  ];
  for (const [event, line] of events) expect(formatEvent(event)).toEqual([line]);
});
