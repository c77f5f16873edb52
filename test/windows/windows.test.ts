import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { patience, type Output } from "#harness/machine/programs.ts";
import { startScriptedModel } from "#harness/claude/scripted-model.ts";
import { qwen } from "#harness/clients/real-clients.ts";
import { Windows, windowsPath } from "#harness/windows/windows.ts";
import { WindowsUser } from "#harness/windows/windows-user.ts";
import { programOf } from "../../scripts/install-clients.ts";
import type { ProcessIdentity } from "#src/platform/processes.ts";
import { parseObject } from "#src/shared/json-fields.ts";
import { entryOnDisk } from "#src/snapshots/file-entry.ts";
import type { ReplacedFiles } from "#src/snapshots/replace-files.ts";
import type { ChildTask } from "../node/snapshots/replace-child.ts";

const root = join(import.meta.dirname, "..", "..");
const windows = new Windows();
beforeAll(() => windows.begin());
afterAll(() => windows.end());

const data = "AppData/Local/shim/Data";
const hookProgram = windowsPath(join(root, "dist", "hook.cjs"));

function hostOf(user: WindowsUser): number {
  const name = readdirSync(user.at(data)).find((one) => /^host-.*\.pid$/.test(one));
  return name === undefined ? 0 : Number(parseObject(user.read(`${data}/${name}`))?.["pid"] ?? 0);
}

/** SHIM as a user has it, in a folder whose name has a blank, a quote and an umlaut. */
function aCopy(): { folder: string; launcher: string } {
  const folder = join(windows.driveC, "Jürgen's tools", "shim");
  for (const name of ["bin", "dist", "plugin", "package.json"])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  return { folder, launcher: "C:\\Jürgen's tools\\shim\\bin\\shim.mjs" };
}

function anExtension(): string {
  const folder = mkdtempSync(join(windows.driveC, "Claude Extensions "));
  execFileSync(process.execPath, [join(root, "scripts", "bundle.ts"), folder], { stdio: "pipe" });
  return windowsPath(join(folder, "bundle", "server", "index.cjs"));
}

it("[Windows] a chat by the server of init is saved, its host and it are killed, and the next one gets its brief", async () => {
  const user = new WindowsUser(windows, "Front");
  const start = [windows.launcher, "mcp"];
  const first = await user.connect(start);
  await first.ask("shim_force_checkpoint", {
    goal: "release the parser",
    project: user.project,
    nextStep: "übersetze a.txt",
  });
  const host = await vi.waitUntil(() => hostOf(user), patience);
  await user.kill(host);
  await first.ask("shim_force_checkpoint", {
    goal: "release the parser",
    project: user.project,
    nextStep: "übersetze b.txt",
  });
  expect(hostOf(user)).not.toBe(host);
  first.kill();
  await first.ended;
  const next = await user.connect(start);
  const { text } = await next.ask("shim_check_recovery", { project: user.project });
  expect(text).toContain("übersetze b.txt");
});

it("[Windows] a chat of Claude Desktop, by the extension, is saved, and the next one gets its brief", async () => {
  const user = new WindowsUser(windows, "Desktop");
  const start = [anExtension()];
  const first = await user.connect(start);
  await first.ask("shim_force_checkpoint", {
    goal: "release the parser",
    project: user.project,
    nextStep: "übersetze a.txt",
  });
  first.kill();
  await first.ended;
  const next = await user.connect(start);
  const { text } = await next.ask("shim_check_recovery", { project: user.project });
  expect(text).toContain("übersetze a.txt");
});

/** A client that starts a hook for each line that it reads, and says how that ended. */
const client = `const { spawnSync } = require("child_process");
require("readline").createInterface({ input: process.stdin }).on("line", (input) => {
  const words = [process.argv[1], JSON.parse(input).hook_event_name];
  console.log(spawnSync(process.execPath, words, { input }).status);
});`;

it("[Windows] a chat and its host that are killed together: the next start finds the death, and has all that was acknowledged", async () => {
  const user = new WindowsUser(windows, "Killed");
  const chat = user.start(["-e", client, hookProgram], { CLAUDECODE: "1" });
  const said: string[] = [];
  chat.onOut((text) => said.push(...text.trim().split("\n")));
  const event = async (name: string, fields: object): Promise<void> => {
    const count = said.length;
    chat.write(`${JSON.stringify({ session_id: "a-chat", hook_event_name: name, cwd: user.project, ...fields })}\n`);
    await vi.waitUntil(() => said.length > count, patience);
    expect(said.at(-1)).toBe("0");
  };
  await event("SessionStart", { source: "startup" });
  await event("UserPromptSubmit", { prompt: "release the größe" });
  await user.kill(hostOf(user));
  await event("UserPromptSubmit", { prompt: "then write its notes" });
  const host = hostOf(user);
  chat.kill();
  await Promise.all([chat.ended, user.kill(host)]);
  const { sessions } = JSON.parse(await user.shim(windows.launcher, "sessions", "--json")) as { sessions: object[] };
  expect(sessions).toEqual([expect.objectContaining({ title: "release the größe", isAlive: false, state: "died" })]);
  const next = await user.connect([windows.launcher, "mcp"]);
  const { text } = await next.ask("shim_check_recovery", { project: user.project });
  for (const prompt of ["release the größe", "then write its notes"]) expect(text).toContain(prompt);
});

/** Files of the user's, in forms that an editor on Windows leaves. */
const own: Readonly<Record<string, string>> = {
  ".claude/settings.json": '\uFEFF{\r\n  "model": "opus"\r\n}\r\n',
  ".codex/config.toml": '# mine\r\nmodel = "x"\r\n',
  ".gemini/settings.json": '{\n\t// mine\n\t"ui": {}\n}\n',
  ".qwen/settings.json": '{ "ui": {} }',
  "AppData/Roaming/Claude/claude_desktop_config.json": '{"mcpServers":{"mine":{"command":"x"}}}',
};

const hookFiles = {
  "claude-code": ".claude/settings.json",
  codex: ".codex/hooks.json",
  gemini: ".gemini/settings.json",
  qwen: ".qwen/settings.json",
} as const;

interface Handlers {
  readonly hooks: Record<string, { hooks: { command: string; args?: string[] }[] }[]>;
}

/** How each client starts a hook that stands in its file. */
function startsIn(user: WindowsUser, client: keyof typeof hookFiles, event: string) {
  const { hooks } = JSON.parse(user.read(hookFiles[client]).replace("\uFEFF", "")) as Handlers;
  const { command = "", args } = hooks[event]?.at(-1)?.hooks[0] ?? {};
  return (fields: object): Promise<Output> => {
    const input = JSON.stringify({ session_id: `of-${client}`, hook_event_name: event, cwd: user.project, ...fields });
    return args ? user.node(args, input, { CLAUDECODE: "1" }) : user.cmd(command, input);
  };
}

it("[Windows] hooks that init writes save chats in cmd and end with 0, also where SHIM is gone; --remove leaves each file as it was", async () => {
  const user = new WindowsUser(windows, "Hooks");
  user.write(own);
  const { folder, launcher } = aCopy();
  await user.shim(launcher, "init", "--yes", "--no-trust");
  const hooks = (["claude-code", "codex", "qwen"] as const).map((client) => ({
    client,
    start: startsIn(user, client, "SessionStart"),
    prompt: startsIn(user, client, "UserPromptSubmit"),
  }));
  for (const { client, start, prompt } of hooks) {
    expect(await start({ source: "startup" })).toMatchObject({ code: 0 });
    expect(await prompt({ prompt: `größer ${client}` })).toEqual({ code: 0, out: "", err: "" });
  }
  const { sessions } = JSON.parse(await user.shim(launcher, "sessions", "--json")) as { sessions: object[] };
  expect(sessions).toEqual(
    hooks.toReversed().map(({ client }) => expect.objectContaining({ title: `größer ${client}`, isAlive: true })),
  );
  await user.shim(launcher, "init", "--remove", "--yes");
  for (const [path, text] of Object.entries(own)) expect(user.read(path), path).toBe(text);
  rmSync(folder, { recursive: true });
  for (const { client, start, prompt } of hooks) {
    expect(await prompt({ prompt: "again" })).toEqual({ code: 0, out: "", err: "" });
    if (client === "claude-code") expect((await start({})).out).toContain("SHIM does not save this chat");
  }
});

it("[Windows] a hook ends with 0 where its client leaves the input open", async () => {
  const user = new WindowsUser(windows, "Open");
  const input = { session_id: "a-chat", hook_event_name: "UserPromptSubmit", cwd: user.project, prompt: "go" };
  const hook = user.start([hookProgram, "UserPromptSubmit"], { CLAUDECODE: "1" });
  hook.write(JSON.stringify(input));
  expect(await hook.ended).toEqual({ code: 0, out: "", err: "" });
});

const moduleOf = (path: string): string => `file:///Z:${join(root, path)}`;

it("[Windows] a folder is one project: the drive and names in letters of either case, with slashes, by a link and in the long form", async () => {
  const user = new WindowsUser(windows, "Forms");
  user.write({ "repo ä/.git/HEAD": "ref: refs/heads/main\n", "repo ä/sub/a.txt": "a" });
  symlinkSync("repo ä", user.at("link"));
  const folders = [
    user.project,
    user.project.replace("C:", "c:"),
    user.project.toUpperCase(),
    user.project.replaceAll("\\", "/"),
    `${user.project}\\sub\\`,
    `${user.home}\\link`,
    `\\\\?\\${user.project}`,
  ];
  const script = `const { projectRoot } = await import("${moduleOf("src/snapshots/git-head.ts")}");
    console.log(JSON.stringify(${JSON.stringify(folders)}.map((one) => projectRoot(one))));`;
  const { out } = await user.node(["--no-warnings", "--input-type=module", "-e", script]);
  expect(JSON.parse(out)).toEqual(folders.map(() => user.project));
});

it("[Windows] the number of a process of SHIM that was killed, which another has now, is not that process", async () => {
  const user = new WindowsUser(windows, "Numbers");
  const source = `const { identify, isAlive, systemProcesses } = await import("${moduleOf("src/platform/processes.ts")}");`;
  const runs = (script: string) => ["--no-warnings", "--input-type=module", "-e", `${source}${script}`];
  const shows = "console.log(JSON.stringify(identify(systemProcesses, process.pid)));setInterval(() => {}, 1e6)";
  const starts = async () => {
    const started = user.start(runs(shows));
    const text = await new Promise<string>((resolve) => started.onOut(resolve));
    return { started, identity: JSON.parse(text) as ProcessIdentity };
  };
  const [first, second] = [await starts(), await starts()];
  const named = [first.identity, second.identity, { ...first.identity, pid: second.identity.pid }];
  const ask = async (): Promise<unknown> => {
    const { out } = await user.node(
      runs(`console.log(JSON.stringify(${JSON.stringify(named)}.map((one) => isAlive(systemProcesses, one))))`),
    );
    return JSON.parse(out);
  };
  expect(await ask()).toEqual([true, true, false]);
  await user.kill(first.identity.pid);
  await first.started.ended;
  expect(await ask()).toEqual([false, true, false]);
  expect(readdirSync(user.at(data, "processes"))).toEqual([`${second.identity.pid}-${second.identity.start}`]);
});

/** A program that has a file open, by which nobody may delete it, or do anything with it. */
async function holds(user: WindowsUser, file: string, isAlone: boolean): Promise<() => Promise<unknown>> {
  const script = `${isAlone ? `fs.openSync('${file}', 0x10000000);` : ""}console.log(process.pid);setInterval(() => {}, 1e6)`;
  const start = { cwd: user.project, env: user.env };
  const line = `"${windows.node}" -e "${script}" < ${file}`;
  const holder = isAlone ? user.start(["-e", script]) : windows.start(line, [], { ...start, isShell: true });
  const pid = await new Promise<number>((resolve) => holder.onOut((text) => resolve(Number(text))));
  return async () => {
    await user.kill(pid);
    await holder.ended;
  };
}

it("[Windows] an undo replaces files of long paths, of other case, and that can only be read; one that a program holds stays as it is until that ends", async () => {
  const user = new WindowsUser(windows, "Undo");
  const [top, source] = [`${user.home}\\repo ä`, `${user.home}\\then`];
  const long = `${"a long folder/".repeat(22)}a.txt`;
  const held = ["held.txt", "locked.txt", "removed.txt"];
  const names = ["readonly.txt", long, ...held, "name.TXT", "Name.txt"];
  const filesIn = (folder: string, all: readonly string[], text: string): void =>
    user.write(Object.fromEntries(all.map((name) => [`${folder}/${name}`, text])));
  filesIn("repo ä", ["readonly.txt", long, ...held, "name.TXT"], "now\r\n");
  filesIn("then", ["readonly.txt", long, "held.txt", "locked.txt", "Name.txt"], "then\r\n");
  const changes = names.map((name) => {
    const [before, after] = ["repo ä", "then"].map((folder) => entryOnDisk(user.at(folder, name), "sha1"));
    return { path: name, before: before ?? null, after: after ?? null };
  });
  chmodSync(user.at("repo ä", "readonly.txt"), 0o444);
  const undo = async (all: typeof changes): Promise<ReplacedFiles> => {
    const task: ChildTask = { top, source, backup: null, changes: all, killedBefore: 0 };
    const child = windowsPath(join(root, "test", "node", "snapshots", "replace-child.ts"));
    const ran = await user.node(["--no-warnings", child, JSON.stringify(task)]);
    expect(ran).toMatchObject({ code: 0, err: "" });
    return JSON.parse(ran.out) as ReplacedFiles;
  };
  const programs = await Promise.all(held.map((name) => holds(user, name, name === "locked.txt")));
  const first = await undo(changes);
  expect(first.written.map(({ path }) => path)).toEqual(["readonly.txt", long, "name.TXT", "Name.txt"]);
  expect(Object.fromEntries(first.notRestored.map(({ path, reason }) => [path, reason]))).toEqual(
    Object.fromEntries(held.map((name) => [name, "another program has it open"])),
  );
  for (const name of held) expect(user.read(`repo ä/${name}`)).toBe("now\r\n");
  await Promise.all(programs.map((end) => end()));
  const rest = changes.filter(({ path }) => held.includes(path));
  expect(await undo(rest)).toMatchObject({ written: rest, notRestored: [] });
  for (const name of ["readonly.txt", long, "held.txt", "locked.txt", "Name.txt"])
    expect(user.read(`repo ä/${name}`)).toBe("then\r\n");
  const left = ["Name.txt", "a long folder", "held.txt", "locked.txt", "readonly.txt"];
  expect(readdirSync(user.at("repo ä")).toSorted()).toEqual(left);
});

/** Wine 8 has no option of a socket that this sets. */
const withoutKeepAlive = 'require("net").Socket.prototype.setKeepAlive = function () { return this; };';

it("[Windows] the real Qwen Code has a turn of a chat recorded by its hooks: prompt, call, answer, end and checkpoint, and a brief of them @night", async () => {
  const user = new WindowsUser(windows, "Qwen");
  user.write({ "keep.cjs": withoutKeepAlive });
  for (const [path, content] of Object.entries(qwen.files)) user.write({ [path]: JSON.stringify(content) });
  await user.shim(windows.launcher, "init", "--yes");
  const file = `${user.project}\\größe.txt`;
  const model = await startScriptedModel({
    steps: [{ tools: [qwen.write(file, "one\r\n")] }, { text: "It is written." }],
  });
  const { NODE_COMPILE_CACHE: _, ...env } = qwen.env(model.url, "");
  const program = windowsPath(programOf(qwen.pinned));
  const words = ["--require", `${user.home}\\keep.cjs`, program, "--yolo", "write the größe file"];
  expect(await user.node(words, "", env)).toMatchObject({ code: 0, out: "It is written.\n" });
  const listed = await user.shim(windows.launcher, "sessions", "--json", "--scripts");
  const { sessions } = JSON.parse(listed) as { sessions: { id: string }[] };
  expect(sessions).toEqual([
    expect.objectContaining({ client: "qwen", state: "ended", title: "write the größe file" }),
  ]);
  const id = sessions[0]?.id ?? "";
  const shown = await user.shim(windows.launcher, "sessions", "show", id);
  for (const text of ["prompt 1, user: write the größe file", `[created ${file}]`, "assistant: It is written."])
    expect(shown).toContain(text);
  expect(shown).toContain("checkpoint");
  const brief = await user.shim(windows.launcher, "resume", "--print", id);
  for (const text of ["write the größe file", "größe.txt", "It is written."]) expect(brief).toContain(text);
});
