import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  chmodSync,
  lstatSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { homeFrom } from "#src/platform/paths.ts";
import type { Io } from "#src/cli/io.ts";
import { shellHookOf } from "#src/platform/launch.ts";
import { aCliHome, failed, holding, launchIn, printed, type CliHome } from "#harness/machine/cli-home.ts";

/** A machine with Claude Code and Claude Desktop, whose user has settings of his own. */
function withClients(home: CliHome): { servers: string; settings: string; desktop: string } {
  const settings = join(home.folder, ".claude", "settings.json");
  const desktop = join(home.folder, ".config", "Claude", "claude_desktop_config.json");
  for (const path of [settings, desktop]) mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(settings, '{ "model": "opus", "statusLine": { "type": "command", "command": "my-line" } }\n');
  writeFileSync(desktop, '{ "mcpServers": {} }\n');
  return { servers: join(home.folder, ".claude.json"), settings, desktop };
}

function textsOf(files: Record<string, string>): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(files).map(([name, path]) => [name, existsSync(path) ? readFileSync(path, "utf8") : null]),
  );
}

it("--dry-run shows what would change, and changes nothing", async () => {
  const home = aCliHome();
  const files = withClients(home);
  const before = textsOf(files);
  const ran = await home.shim("init --dry-run");
  expect(ran.code).toBe(0);
  for (const text of [
    "Claude Desktop: MCP server\n",
    "Claude Code: MCP server, hooks, allowed tools\n",
    "Your own status line stays (",
    "Dry run: nothing was changed.",
  ]) {
    expect(ran.out).toContain(text);
  }
  const json = (await home.shim("init --dry-run --json --client claude-code")).json();
  expect(json).toMatchObject({ isApplied: false, clients: [{ client: "claude-code", backup: null }] });
  expect(textsOf(files)).toEqual(before);
  expect(existsSync(home.paths.home)).toBe(false);
});

it("it asks in a terminal, needs --yes elsewhere, and changes nothing on no", async () => {
  const home = aCliHome();
  const files = withClients(home);
  const before = textsOf(files);
  expect(await home.shim("init")).toMatchObject(failed(2, "--yes"));
  const no = await home.shimWith({ isTty: true, isInteractive: true, ask: async () => "n" }, "init");
  expect(no.code).toBe(0);
  expect(no.out).toContain("Nothing was changed.");
  expect(textsOf(files)).toEqual(before);
  const questions: string[] = [];
  const ask = async (question: string): Promise<string> => {
    questions.push(question);
    return "y";
  };
  const yes = await home.shimWith({ isTty: true, isInteractive: true, ask }, "init");
  expect(yes.code).toBe(0);
  expect(questions).toEqual(["Change these files? [y/N] "]);
  expect(yes.out).toContain("start a new one");
  expect(textsOf(files)).not.toEqual(before);
});

it("init writes absolute paths of this copy and keeps the user's status line; uninstall brings the files back exactly", async () => {
  const home = aCliHome();
  const files = withClients(home);
  const before = textsOf(files);
  expect((await home.shim("init --yes --json")).json()).toMatchObject({
    isApplied: true,
    clients: [{ client: "claude-desktop" }, { client: "claude-code" }],
  });
  const { node, script } = launchIn(home.folder);
  expect(JSON.parse(readFileSync(files.servers, "utf8"))).toMatchObject({
    mcpServers: { shim: { command: node, args: [script, "mcp"] } },
  });
  expect(readFileSync(files.settings, "utf8")).toContain(shellHookOf(launchIn(home.folder)));
  expect(readFileSync(files.settings, "utf8")).toContain('"command": "my-line"');
  expect(await home.shim("init")).toMatchObject(printed("Nothing to change in Claude Desktop, Claude Code."));
  expect(await home.shim("init --remove --yes")).toMatchObject(printed("SHIM is removed."));
  expect(textsOf(files)).toEqual(before);
});

it("without a client it answers 3 with what any MCP client needs, and unsound settings are left alone", async () => {
  const home = aCliHome();
  expect(await home.shim("init --yes")).toMatchObject(failed(3, `"args":["${launchIn(home.folder).script}","mcp"]`));
  const files = withClients(home);
  expect((await home.shim("init --client claude-mobile")).code).toBe(2);
  writeFileSync(files.desktop, "{ broken");
  const broken = await home.shim("init --yes --json");
  expect(broken.code).toBe(1);
  expect(broken.json()).toMatchObject({ error: { code: "config_unsound" } });
  rmSync(join(home.folder, ".config"), { recursive: true });
  expect((await home.shim("init --client claude-desktop")).err).toContain("claude-desktop was not found");
});

it("while SHIM_HOME is set it notes that clients save in the default folder, in the plan and in --json", async () => {
  const home = aCliHome();
  writeFileSync(withClients(home).settings, "{}\n");
  const note = `SHIM_HOME is set here (${home.paths.home}), but the clients do not get it from this command: they save in ${homeFrom({})},`;
  expect((await home.shim("init --dry-run")).out).toContain(`Note: ${note}`);
  const notesOf = async (env: NodeJS.ProcessEnv, command: string): Promise<unknown[]> => {
    const ran = await home.shimWith({ env }, command, "--dry-run", "--json");
    return (ran.json()["clients"] as { notes: unknown[] }[]).map(({ notes }) => notes);
  };
  const told = [expect.stringContaining(note)];
  expect(await notesOf(home.runtime.env, "init")).toEqual([told, told]);
  for (const SHIM_HOME of [undefined, "", homeFrom({})])
    expect(await notesOf({ ...home.runtime.env, SHIM_HOME }, "init")).toEqual([[], []]);
  expect(await notesOf(home.runtime.env, "init --remove")).toEqual([[], []]);
});

it("a copy that is not built connects nothing, but can be taken out", async () => {
  const home = aCliHome();
  withClients(home);
  rmSync(launchIn(home.folder).hookScript);
  const ran = await home.shim("init --yes --json");
  expect(ran.code).toBe(1);
  expect(ran.json()).toMatchObject({ error: { code: "not_built" } });
  expect((await home.shim("init --remove --yes")).code).toBe(0);
});

it("when one client's file cannot be written it says so, and connects the others", async () => {
  const home = aCliHome();
  const files = withClients(home);
  const { exists } = home.io().machine;
  // Another program changes the second client's file between the plan and its turn.
  const now = (): number => {
    writeFileSync(files.servers, '{ "changed": true }');
    return home.now;
  };
  expect(await home.shimWith({ now, machine: { ...home.io().machine, exists } }, "init --yes")).toMatchObject({
    code: 1,
    out: expect.stringMatching(
      /SHIM is connected to Claude Desktop\.\nClaude Code is not connected: .* was changed by another program/,
    ) as string,
  });
});

/** A new user's machine: Claude Code is there, and no `shim`. */
function aNewUser(): { home: CliHome; link: string; io: (more?: NodeJS.ProcessEnv) => Partial<Io> } {
  const home = aCliHome();
  mkdirSync(join(home.folder, ".claude"));
  const io = (more: NodeJS.ProcessEnv = {}): Partial<Io> => {
    const env = { ...home.runtime.env, PATH: "/usr/bin:/bin", SHELL: "/bin/bash", ...more };
    return { env, machine: { ...home.io().machine, env } };
  };
  return { home, link: join(home.folder, ".local", "bin", "shim"), io };
}

it("init links the launcher into ~/.local/bin, and the dry run only says so", async () => {
  const { home, link, io } = aNewUser();
  const { script } = launchIn(home.folder);
  expect((await home.shimWith(io(), "init --dry-run")).out).toContain(
    `Command: ~/.local/bin/shim will lead to ${script}.`,
  );
  expect(existsSync(link)).toBe(false);
  const ran = await home.shimWith(io(), "init --yes --json");
  expect(ran.json()).toMatchObject({ isApplied: true, link: { action: "create", path: link, target: script } });
  expect(readlinkSync(link)).toBe(script);
  const again = await home.shimWith(io({ PATH: `${join(link, "..")}:/usr/bin` }), "init");
  expect([again.code, again.out.includes("Nothing to change in Claude Code."), again.out.includes(link)]).toEqual([
    0,
    true,
    false,
  ]);
});

it("nothing is linked with --no-link, on Windows, and where `shim` is this copy already", async () => {
  const { home, link, io } = aNewUser();
  const windows = { ...io(), machine: { ...io().machine!, platform: "win32" as const } };
  expect((await home.shimWith(io(), "init --dry-run --no-link --json")).json()["link"]).toBeNull();
  expect((await home.json("init --dry-run"))["link"]).toBeNull();
  mkdirSync(join(home.folder, "AppData", "Roaming", "Claude"), { recursive: true });
  expect((await home.shimWith(windows, "init --dry-run")).out).not.toContain(link);
});

it("a link to a copy that is gone is corrected", async () => {
  const { home, link, io } = aNewUser();
  mkdirSync(join(link, ".."), { recursive: true });
  symlinkSync(join(home.folder, "moved", "bin", "shim.mjs"), link);
  expect((await home.shimWith(io(), "init --yes")).code).toBe(0);
  expect(readlinkSync(link)).toBe(launchIn(home.folder).script);
});

it("a foreign shim is neither replaced nor shadowed, and is named", async () => {
  const { home, link, io } = aNewUser();
  mkdirSync(join(link, ".."), { recursive: true });
  writeFileSync(link, "#!/bin/sh\n");
  expect((await home.shimWith(io(), "init --yes")).out).toContain(`Note: ${link} is another program; it stays.`);
  expect(lstatSync(link).isFile()).toBe(true);
  const other = aNewUser();
  const foreign = join(other.home.folder, "foreign");
  mkdirSync(foreign);
  writeFileSync(join(foreign, "shim"), "#!/bin/sh\n");
  const ran = await other.home.shimWith(other.io({ PATH: `/usr/bin:${foreign}` }), "init --yes");
  expect(ran.out).toContain(`Note: ${join(foreign, "shim")} is another program; it stays.`);
  expect(existsSync(other.link)).toBe(false);
});

it("uninstall removes the link and the folders made for it, and leaves the home as it was", async () => {
  const { home, link, io } = aNewUser();
  const before = readdirSync(home.folder, { recursive: true }).filter((name) => !String(name).startsWith("shim"));
  await home.shimWith(io(), "init --yes");
  expect((await home.shimWith(io(), "init --remove --yes")).out).toContain(`Removed the link ${link}.`);
  expect(readdirSync(home.folder, { recursive: true }).filter((name) => !String(name).startsWith("shim"))).toEqual(
    before,
  );
});

it("uninstall leaves a link that leads elsewhere by now, one that init did not make, and a folder in use", async () => {
  const made = aNewUser();
  await made.home.shimWith(made.io(), "init --yes");
  writeFileSync(join(made.link, "..", "other"), "");
  await made.home.shimWith(made.io(), "init --remove --yes");
  expect(readdirSync(join(made.link, ".."))).toEqual(["other"]);
  const own = aNewUser();
  mkdirSync(join(own.link, ".."), { recursive: true });
  symlinkSync(launchIn(own.home.folder).script, own.link);
  await own.home.shimWith(own.io(), "init --yes");
  await own.home.shimWith(own.io(), "init --remove --yes");
  expect(existsSync(own.link)).toBe(true);
});

it("of one client alone the command stays; without any client the link is still removed", async () => {
  const { home, link, io } = aNewUser();
  await home.shimWith(io(), "init --yes");
  await home.shimWith(io(), "init --remove --client claude-code --yes");
  expect(existsSync(link)).toBe(true);
  expect((await home.shimWith(io(), "init --remove --yes")).code).toBe(0);
  expect(existsSync(link)).toBe(false);
});

it("where the folder is not on the PATH init prints the line for the user's shell", async () => {
  const lineFor = async (SHELL: string): Promise<string> => {
    const { home, io } = aNewUser();
    return (await home.shimWith(io({ SHELL }), "init --yes")).err;
  };
  expect(await lineFor("/bin/bash")).toContain(
    'run this, and add it to ~/.bashrc: export PATH="$HOME/.local/bin:$PATH"\n',
  );
  expect(await lineFor("/usr/bin/zsh")).toContain("~/.zshrc");
  expect(await lineFor("/usr/bin/fish")).toContain("run: fish_add_path ~/.local/bin\n");
  const { home, link, io } = aNewUser();
  const ran = await home.shimWith(io({ PATH: `/usr/bin:${join(link, "..")}` }), "init --yes");
  expect(ran.out).toContain("`shim` is a command now.");
  expect(ran.out).toContain("Then `shim up` shows the chat");
});

it("a link that cannot be made is reported, and the clients are connected all the same", async () => {
  const { home, link, io } = aNewUser();
  writeFileSync(join(home.folder, ".local"), "a file where the folder should be");
  expect(await home.shimWith(io(), "init --yes")).toMatchObject(
    printed(`The link ${link} was not made: `, "SHIM is connected."),
  );
  expect(existsSync(join(home.folder, ".claude.json"))).toBe(true);
});

it("the overview names clients, status line, tools, hooks, files and command in at most 15 lines", async () => {
  const { home, io } = aNewUser();
  for (const folder of [".codex", ".copilot", ".gemini", ".qwen", ".config/opencode", ".config/Claude"])
    mkdirSync(join(home.folder, folder), { recursive: true });
  const { out } = await home.shimWith(io(), "init --dry-run");
  const lines = out.trimEnd().split("\n");
  expect(lines.length).toBeLessThanOrEqual(15);
  expect(out).not.toMatch(/\.\.\.|…/);
  for (const line of [
    "  Claude Desktop: MCP server",
    "  Claude Code: MCP server, hooks, status line, allowed tools",
    "  Codex, Copilot CLI, Gemini CLI: MCP server, hooks, slash commands",
    "  Qwen Code: MCP server, hooks, allowed tools",
    "Status line: Claude Code has none of yours, and will show SHIM's; `shim init --remove` removes it.",
    expect.stringMatching(
      /^Tools: \d+ tools of SHIM .* without asking in Claude Code, Qwen Code; --no-allow prevents that\.$/,
    ),
    expect.stringMatching(/^Hooks: .*each prompt, tool call and end of a turn/),
    expect.stringMatching(/^Files: \d+ files will change; .*`shim init --diff` shows every line\.$/),
    `Command: ~/.local/bin/shim will lead to ${launchIn(home.folder).script}.`,
  ])
    expect(lines).toContainEqual(line);
});

it("--diff shows every line that changes, changes nothing, and takes no --yes", async () => {
  const { home, link, io } = aNewUser();
  const { code, out } = await home.shimWith(io(), "init --diff");
  const diff = out.split("\n").flatMap((line) => (line.startsWith("+ ") ? line.slice(2) : []));
  expect([code, existsSync(join(home.folder, ".claude.json"))]).toEqual([0, false]);
  expect(await home.shimWith(io(), "init --diff --yes")).toMatchObject(failed(2, "cannot be used with"));
  await home.shimWith(io(), "init --yes");
  for (const file of [".claude.json", ".claude/settings.json"]) {
    const text = readFileSync(join(home.folder, file), "utf8");
    expect(diff.join("\n")).toContain(text.trimEnd());
  }
  expect(out).toContain(`+++ ${link} -> ${launchIn(home.folder).script}`);
});

it("of a removal the overview says what goes, and --diff shows every line", async () => {
  const { home, io } = aNewUser();
  await home.shimWith(io(), "init --yes");
  expect((await home.shimWith(io(), "init --remove --dry-run")).out).toBe(`SHIM will be removed from these clients:
  Claude Code: MCP server, hooks, status line, allowed tools
Files: 2 files that SHIM made will be deleted. \`shim init --remove --diff\` shows every line.
Command: ~/.local/bin/shim will go.
Dry run: nothing was changed.
`);
  const { out } = await home.shimWith(io(), "init --remove --diff");
  expect(out).toContain("# removes the MCP server");
  expect(existsSync(join(home.folder, ".claude.json"))).toBe(true);
});

it("without a terminal the refusal names the command to type, npm's when npm has started it", async () => {
  const { home, io } = aNewUser();
  const byNpm = await home.shimWith(io({ npm_lifecycle_event: "init" }), "init");
  expect([byNpm.code, byNpm.err.includes("`npm run init -- --yes`")]).toEqual([2, true]);
  expect((await home.shimWith(io(), "init")).err).toContain("`shim init --yes`");
  await home.shimWith(io(), "init --yes");
  const removal = await home.shimWith(io({ npm_lifecycle_event: "init" }), "init --remove");
  expect(removal).toMatchObject(failed(2, "`npm run init -- --remove --yes`"));
});

it("commands are printed as `shim`, with one line that makes it a command where it is none", async () => {
  const { home, link, io } = aNewUser();
  const { script } = launchIn(home.folder);
  const said = async (more: NodeJS.ProcessEnv, command = "sessions show zzzz"): Promise<string> =>
    (await home.shimWith(io(more), command)).err;
  const own = join(home.folder, "path");
  const withNode = join(home.folder, "with-node");
  mkdirSync(withNode);
  writeFileSync(join(withNode, "node"), "");
  const lists = /`shim sessions` lists them\.\n/;
  const toLink = `To make \`shim\` a command, run: mkdir -p ~/.local/bin && ln -s ${script} ~/.local/bin/shim`;
  const toAdd = 'export PATH="$HOME/.local/bin:$PATH"';
  expect(await said({ PATH: own })).toMatch(/lists them\.\n$/);
  const unlinked = await said({ PATH: withNode });
  expect(unlinked).toMatch(lists);
  expect(unlinked.trimEnd().split("\n").slice(1)).toEqual([`${toLink} && ${toAdd}`]);
  expect((await said({ PATH: `${withNode}:${join(link, "..")}` })).trimEnd().split("\n").slice(1)).toEqual([toLink]);
  // npm's folder is on the PATH of what npm starts, and not on the user's.
  const npm = join(home.folder, "node_modules", ".bin");
  mkdirSync(npm, { recursive: true });
  symlinkSync(script, join(npm, "shim"));
  expect(await said({ PATH: `${npm}:${withNode}` })).toContain(toLink);
  mkdirSync(join(link, ".."), { recursive: true });
  symlinkSync(script, link);
  const linked = await said({ PATH: withNode });
  expect(linked).toMatch(lists);
  expect(linked).toContain(`run this, and add it to ~/.bashrc: ${toAdd}\n`);
  expect(await said({ PATH: withNode }, "cost --json")).toBe("");
  const up = await home.shimWith(io({ PATH: withNode }), "up --once");
  expect(up).toMatchObject({ out: expect.stringContaining("  shim init  connects it"), err: holding(toAdd) });
});

it("the full command is printed where `shim` is another program, without a Node on the PATH, and in JSON", async () => {
  const { home, link, io } = aNewUser();
  const { node, script } = launchIn(home.folder);
  const said = async (PATH: string): Promise<string> => (await home.shimWith(io({ PATH }), "sessions show zzzz")).err;
  const foreign = join(home.folder, "foreign");
  mkdirSync(foreign);
  writeFileSync(join(foreign, "shim"), "");
  writeFileSync(join(foreign, "node"), "");
  expect(await said("/nowhere")).toMatch(new RegExp(`\`${node} ${script} sessions\` lists them\\.\\n$`));
  expect(await said(`${foreign}:${join(home.folder, "path")}`)).toMatch(/`node \S+ sessions` lists them\.\n$/);
  rmSync(join(foreign, "shim"));
  mkdirSync(join(link, ".."), { recursive: true });
  writeFileSync(link, "another program");
  expect(await said(foreign)).toContain(`\`node ${script} sessions\` lists them`);
  rmSync(link);
  const json = await home.shimWith(io({ PATH: foreign }), "sessions show zzzz --json");
  expect(json.json()).toMatchObject({ error: { message: expect.stringContaining(`\`node ${script} sessions\``) } });
});

it("what the line says makes `shim` a command in a shell", async () => {
  const { home, io } = aNewUser();
  const { script } = launchIn(home.folder);
  writeFileSync(script, "#!/bin/sh\necho it runs\n");
  chmodSync(script, 0o755);
  const env = { ...io().env, PATH: "/usr/bin:/bin" };
  for (const before of ["not linked", "linked"]) {
    const { err } = await home.shimWith(io(), "help");
    const line = /^To make `shim` a command, run.*?: (.*)$/m.exec(err)?.[1] ?? "";
    const ran = spawnSync("sh", ["-c", `${line}\nshim`], { env, encoding: "utf8" });
    expect([before, ran.stdout, ran.stderr]).toEqual([before, "it runs\n", ""]);
  }
});
