import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { aCliHome, failed, holding, launchIn, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { harmlessTools } from "#src/contract/own-tools.ts";
import { write } from "#harness/machine/git-project.ts";

/** A machine with Claude Code and Claude Desktop, whose user has settings of his own. */
function withClients(home: CliHome): { servers: string; settings: string; desktop: string } {
  const settings = join(home.folder, ".claude", "settings.json");
  const desktop = join(home.folder, ".config", "Claude", "claude_desktop_config.json");
  const line = '{ "model": "opus", "statusLine": { "type": "command", "command": "my-line" } }\n';
  write("/", { [settings]: line, [desktop]: '{ "mcpServers": {} }\n' });
  return { servers: join(home.folder, ".claude.json"), settings, desktop };
}

function textsOf(files: Record<string, string>): (string | null)[] {
  return Object.values(files).map((path) => (existsSync(path) ? readFileSync(path, "utf8") : null));
}

it("--dry-run shows what would change, and changes nothing; in a terminal it says what it found and what will change, asks once, and then says what to start", async () => {
  const home = aCliHome();
  const files = withClients(home);
  const before = textsOf(files);
  const changes = ["Claude Desktop: MCP server\n", "Claude Code: MCP server, hooks, allowed tools\n"];
  const stays = "Your own status line stays (";
  expect(await home.shim("init --dry-run")).toMatchObject(printed(...changes, stays, "Dry run: nothing was changed."));
  const json = await home.json("init --dry-run --client claude-code");
  expect(json).toMatchObject({ isApplied: false, clients: [{ client: "claude-code", backup: null }] });
  expect([textsOf(files), existsSync(home.paths.home)]).toEqual([before, false]);
  const user = aTerminal("");
  const found = ["Claude Desktop: SHIM is not connected\n", "Claude Code 2.1.200: no hooks of SHIM yet\n"];
  const written = [
    "Store: none yet; it will be in ~/shim\n",
    "~/.config/Claude/claude_desktop_config.json: MCP server\n",
    "~/.claude.json: MCP server\n",
    "~/.claude/settings.json: hooks, allowed tools\n",
  ];
  const next = ["SHIM is connected.", "start a new one in Claude Code", "then start again: Claude Desktop"];
  expect(await home.shimWith(user, "init")).toMatchObject(printed(...found, ...written, ...next));
  expect(user.questions).toEqual(["Go ahead? [Y/n] "]);
  expect(readFileSync(files.servers, "utf8")).toContain("shim.mjs");
  const again = printed("SHIM's hooks are there\n", "Nothing to change in Claude Desktop, Claude Code.");
  expect(await home.shimWith(aTerminal(), "init")).toMatchObject(again);
});

/** A terminal whose user gives these answers; null is Ctrl-C. */
function aTerminal(...answers: (string | null)[]): Partial<Io> & { readonly questions: string[] } {
  const questions: string[] = [];
  const ask = async (question: string): Promise<string | null> => (questions.push(question), answers.shift() ?? null);
  return { isTty: true, isInteractive: true, ask, questions };
}

it("no, Ctrl-C and the end of input change nothing, and another word is asked again; elsewhere it needs --yes", async () => {
  const home = aCliHome();
  const files = withClients(home);
  const before = textsOf(files);
  expect(await home.shim("init")).toMatchObject(failed(2, "--yes"));
  for (const answers of [["n"], ["NO"], [null], ["what", "maybe", "n"]]) {
    const user = aTerminal(...answers);
    expect(await home.shimWith(user, "init")).toMatchObject(printed("Nothing was changed."));
    expect(user.questions).toHaveLength(answers.length);
  }
  expect([textsOf(files), existsSync(home.paths.home)]).toEqual([before, false]);
  const user = aTerminal("perhaps", "y");
  expect(await home.shimWith(user, "init")).toMatchObject({ code: 0, err: holding("Answer y or n.") });
  expect(textsOf(files)).not.toEqual(before);
  const quiet = aTerminal();
  expect(await home.shimWith(quiet, "init --remove --yes")).toMatchObject({ code: 0 });
  expect([textsOf(files), quiet.questions]).toEqual([before, []]);
  expect(await home.shimWith(quiet, "init --yes")).toMatchObject({ code: 0 });
  expect(quiet.questions).toEqual([]);
});

it("a machine of a workspace is offered to pair a phone; one of its own is not", async () => {
  const offer = "Pair a phone: shim pair\n";
  for (const joins of [true, false]) {
    const home = aCliHome();
    withClients(home);
    if (joins) home.join("http://127.0.0.1:9");
    for (const answers of [["y"], []]) {
      const { out } = await home.shimWith(aTerminal(...answers), "init");
      expect([joins, out.endsWith(offer)]).toEqual([joins, joins]);
    }
  }
});

it("without a client it answers 3 with what any MCP client needs, unsound settings are left alone, and a file that its client ignores is named, in one sentence", async () => {
  const home = aCliHome();
  expect(await home.shim("init --yes")).toMatchObject(failed(3, `"args":["${launchIn(home.folder).script}","mcp"]`));
  const files = withClients(home);
  expect((await home.shim("init --client claude-mobile")).code).toBe(2);
  writeFileSync(files.desktop, "{ broken");
  expect(await home.shim("init --yes --json")).toMatchObject({ code: 1, error: "config_unsound" });
  rmSync(join(home.folder, ".config"), { recursive: true });
  expect((await home.shim("init --client claude-desktop")).err).toContain("claude-desktop was not found");
  write("/", { [files.settings]: '{ "model": "opus" } // mine\n' });
  const before = holding(/^ *Claude Code will not be connected: .* ignores the whole file until you remove them\.$/m);
  expect(await home.shimWith(aTerminal("n"), "init --client claude-code")).toMatchObject({ out: before });
  const out = holding(/^Claude Code is not connected: .* ignores the whole file until you remove them\.$/m);
  const ran = await home.shim("init --yes --client claude-code");
  expect(ran).toMatchObject({ code: 1, out });
  expect(ran.out).not.toContain("start a new one");
});

it("a copy that is not built connects nothing, but can be taken out", async () => {
  const home = aCliHome();
  withClients(home);
  rmSync(launchIn(home.folder).hookScript);
  expect(await home.shim("init --yes --json")).toMatchObject({ code: 1, error: "not_built" });
  expect((await home.shim("init --remove --yes")).code).toBe(0);
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

it("init links the launcher into ~/.local/bin; the dry run only says so, and --diff shows every line that changes, changes nothing, and takes no --yes", async () => {
  const { home, link, io } = aNewUser();
  const { script } = launchIn(home.folder);
  const dry = printed(`~/.local/bin/shim will lead to ${script}.`);
  expect(await home.shimWith(io(), "init --dry-run")).toMatchObject(dry);
  const { code, out } = await home.shimWith(io(), "init --diff");
  expect(out).toContain(`+++ ${link} -> ${script}`);
  expect(await home.shimWith(io(), "init --diff --yes")).toMatchObject(failed(2, "cannot be used with"));
  const file = join(home.folder, ".claude.json");
  expect([code, existsSync(link), existsSync(file)]).toEqual([0, false, false]);
  const ran = await home.shimWith(io(), "init --yes --json");
  expect(ran.json()).toMatchObject({ isApplied: true, link: { action: "create", path: link, target: script } });
  expect(readlinkSync(link)).toBe(script);
  const diff = out.split("\n").flatMap((line) => (line.startsWith("+ ") ? line.slice(2) : []));
  for (const path of [file, join(home.folder, ".claude", "settings.json")])
    expect(diff.join("\n")).toContain(readFileSync(path, "utf8").trimEnd());
});

it("a foreign shim is neither replaced nor shadowed, and is named", async () => {
  for (const folder of [".local/bin", "foreign"]) {
    const { home, link, io } = aNewUser();
    const foreign = join(home.folder, folder, "shim");
    write(home.folder, { [`${folder}/shim`]: "#!/bin/sh\n" });
    const ran = await home.shimWith(io({ PATH: `/usr/bin:${join(foreign, "..")}` }), "init --yes");
    expect(ran.out).toContain(`Note: ${foreign} is another program; it stays.`);
    expect([readFileSync(foreign, "utf8"), existsSync(link)]).toEqual(["#!/bin/sh\n", folder === ".local/bin"]);
  }
});

it("uninstall leaves a link that leads elsewhere by now, one that init did not make, and a folder in use", async () => {
  for (const isMoved of [false, true]) {
    const made = aNewUser();
    await made.home.shimWith(made.io(), "init --yes");
    writeFileSync(join(made.link, "..", "other"), "");
    if (isMoved) {
      rmSync(made.link);
      symlinkSync("other", made.link);
    }
    await made.home.shimWith(made.io(), "init --remove --yes");
    expect(readdirSync(join(made.link, ".."))).toEqual(isMoved ? ["other", "shim"] : ["other"]);
  }
  const own = aNewUser();
  mkdirSync(join(own.link, ".."), { recursive: true });
  symlinkSync(launchIn(own.home.folder).script, own.link);
  await own.home.shimWith(own.io(), "init --yes");
  await own.home.shimWith(own.io(), "init --remove --yes");
  expect(existsSync(own.link)).toBe(true);
});

it("commands are printed as `shim`; the help, init and doctor have one line that makes it a command where it is none, other commands and errors have not", async () => {
  const { home, link, io } = aNewUser();
  const { script } = launchIn(home.folder);
  const withNode = join(home.folder, "with-node");
  const npm = join(home.folder, "node_modules", ".bin");
  for (const folder of [withNode, npm]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(withNode, "node"), "");
  symlinkSync(script, join(npm, "shim"));
  const lines = async (PATH: string, command = "help sessions"): Promise<string[]> =>
    (await home.shimWith(io({ PATH }), command)).err.split("\n").filter((line) => line.startsWith("To make"));
  const toLink = `To make \`shim\` a command, run: mkdir -p ~/.local/bin && ln -s ${script} ~/.local/bin/shim`;
  const toAdd = 'export PATH="$HOME/.local/bin:$PATH"';
  expect(await lines(join(home.folder, "path"))).toEqual([]);
  expect(await lines(withNode)).toEqual([`${toLink} && ${toAdd}`]);
  expect(await lines(`${withNode}:${join(link, "..")}`)).toEqual([toLink]);
  // npm's folder is on the PATH of what npm starts, and not on the user's.
  expect(await lines(`${npm}:${withNode}`)).toEqual([expect.stringContaining(toLink)]);
  mkdirSync(join(link, ".."), { recursive: true });
  symlinkSync(script, link);
  expect(await lines(withNode)).toEqual([expect.stringContaining(`run this, and add it to ~/.bashrc: ${toAdd}`)]);
  for (const command of ["cost --json", "cost", "sessions show zzzz", "nonsense"])
    expect([command, await lines(withNode, command)]).toEqual([command, []]);
});

function withSettings(settings: object) {
  const home = aCliHome();
  const path = join(home.folder, ".claude", "settings.json");
  write("/", { [path]: JSON.stringify(settings) });
  const read = () => JSON.parse(readFileSync(path, "utf8")) as { permissions?: { allow?: unknown } };
  return { home, path, allowed: () => read().permissions?.allow };
}

const rules = harmlessTools.map((tool) => `mcp__shim__${tool}`);

it("init allows the tools that only read or save, says so, and does it once; uninstall restores the file", async () => {
  const own = { permissions: { allow: ["Bash(ls)"], deny: ["WebFetch"] } };
  const commented = '{\n  // mine\n  "permissions": { "allow": ["Bash(ls)"] }\n}\n';
  for (const [client, file, text] of [
    ["claude-code", ".claude/settings.json", JSON.stringify(own, null, 2)],
    ["qwen", ".qwen/settings.json", commented],
  ] as const) {
    const home = aCliHome();
    write(home.folder, { [file]: text });
    const read = (): string => readFileSync(join(home.folder, file), "utf8");
    const dry = printed(/^Tools: \d+ tools of SHIM that only read or save/m);
    expect(await home.shim(`init --client ${client} --dry-run`)).toMatchObject(dry);
    for (let n = 0; n < 2; n++) expect((await home.shim(`init --client ${client} --yes`)).code).toBe(0);
    for (const rule of ["Bash(ls)", ...rules]) expect(read().split(`"${rule}"`)).toHaveLength(2);
    await home.shim(`init --remove --client ${client} --yes`);
    expect(read()).toBe(text);
  }
  // None that deletes, assigns work or speaks to other chats.
  expect(rules.filter((rule) => /clear|submit|next|report|send|files|state_set/.test(rule))).toEqual([]);
});

it("--no-allow, and rules of another shape, leave the settings as they are", async () => {
  for (const [settings, option, left] of [
    [{}, "--no-allow", undefined],
    [{ permissions: { allow: "all" } }, "", "all"],
  ] as const) {
    const { home, allowed } = withSettings(settings);
    expect((await home.shim(`init --client claude-code --yes ${option}`)).code).toBe(0);
    expect(allowed()).toBe(left);
  }
});

it("a file that was changed since keeps the user's rules, also one for a tool of SHIM from before", async () => {
  const own = "mcp__shim__shim_inbox";
  const { home, path, allowed } = withSettings({ permissions: { allow: [own] } });
  await home.shim("init --client claude-code --yes");
  writeFileSync(path, readFileSync(path, "utf8").replace(`"${own}"`, `"${own}", "Bash(make)"`));
  await home.shim("init --remove --client claude-code --yes");
  expect(allowed()).toEqual([own, "Bash(make)"]);
});
