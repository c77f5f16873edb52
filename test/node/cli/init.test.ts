import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { homeFrom } from "#src/platform/paths.ts";
import { aCliHome, failed, launchIn, printed, type CliHome } from "#harness/machine/cli-home.ts";

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

it("[CL24] [CL6] --dry-run shows what would change, and changes nothing", async () => {
  const home = aCliHome();
  const files = withClients(home);
  const before = textsOf(files);
  const ran = await home.shim("init --dry-run");
  expect(ran.code).toBe(0);
  for (const text of [
    "Set up Claude Desktop",
    "Set up Claude Code",
    files.settings,
    "SessionStart",
    "my-line",
    "Dry run: nothing was changed.",
  ]) {
    expect(ran.out).toContain(text);
  }
  const json = (await home.shim("init --dry-run --json --client claude-code")).json();
  expect(json).toMatchObject({ isApplied: false, clients: [{ client: "claude-code", backup: null }] });
  expect(textsOf(files)).toEqual(before);
  expect(existsSync(home.paths.home)).toBe(false);
});

it("[CL6] it asks in a terminal, needs --yes elsewhere, and changes nothing on no", async () => {
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

it("[CL24] init writes absolute paths of this copy and keeps the user's status line; uninstall brings the files back exactly", async () => {
  const home = aCliHome();
  const files = withClients(home);
  const before = textsOf(files);
  const ran = await home.shim("init --yes --json");
  expect(ran.json()).toMatchObject({
    isApplied: true,
    clients: [{ client: "claude-desktop" }, { client: "claude-code" }],
  });
  const { node, script, hookScript } = launchIn(home.folder);
  expect(JSON.parse(readFileSync(files.servers, "utf8"))).toMatchObject({
    mcpServers: { shim: { command: node, args: [script, "mcp"] } },
  });
  expect(readFileSync(files.settings, "utf8")).toContain(hookScript);
  expect((await home.shim("config get statusLine")).out).toBe("my-line\n");
  expect(await home.shim("init")).toMatchObject(printed("Nothing to change."));
  expect(await home.shim("uninstall --yes")).toMatchObject(printed("Stored data stays"));
  expect(textsOf(files)).toEqual(before);
});

it("[CL24] without a client it answers 3 with what any MCP client needs, and unsound settings are left alone", async () => {
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

it("[CL24] while SHIM_HOME is set it notes that clients save in the default folder, in the plan and in --json", async () => {
  const home = aCliHome();
  withClients(home);
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
  expect(await notesOf(home.runtime.env, "uninstall")).toEqual([[], []]);
});

it("[CL24] a copy that is not built connects nothing, but can be taken out", async () => {
  const home = aCliHome();
  withClients(home);
  rmSync(launchIn(home.folder).hookScript);
  const ran = await home.shim("init --yes --json");
  expect(ran.code).toBe(1);
  expect(ran.json()).toMatchObject({ error: { code: "not_built" } });
  expect((await home.shim("uninstall --yes")).code).toBe(0);
});

it("[CL24] when one client's file cannot be written it says what was done before", async () => {
  const home = aCliHome();
  const files = withClients(home);
  const { exists } = home.io().machine;
  // Another program changes the second client's file between the plan and its turn.
  const now = (): number => {
    writeFileSync(files.servers, '{ "changed": true }');
    return home.now;
  };
  expect(await home.shimWith({ now, machine: { ...home.io().machine, exists } }, "init --yes")).toMatchObject(
    failed(1, "was changed by another program", "Already changed: Claude Desktop."),
  );
});
