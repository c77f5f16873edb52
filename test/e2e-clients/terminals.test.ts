import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { claudeTerminal, geminiTerminal, terminalClients } from "#harness/clients/terminal-clients.ts";
import { TerminalRig } from "#harness/clients/terminal-rig.ts";

const edit = "Write the parser, please";
const deploy = "Deploy the site, please";
const next = "Go on with it, please";

it.each(terminalClients.map((client) => [client.name, client] as const))(
  "%s in its terminals: one window edits, one asks for leave and is killed; state, brief, undo and removal are right",
  async (name, client) => {
    const rig = await TerminalRig.open(client);
    const servers = join(rig.home, client.servers);
    const hasShim = (): boolean => existsSync(servers) && readFileSync(servers, "utf8").includes("shim.mjs");
    expect(hasShim()).toBe(true);

    const first = await rig.window();
    const written = { tools: [client.write(rig.path("parser.ts"), "export {};\n")] };
    await rig.ask(first, edit, [written, { tools: [client.shell("echo tested")] }, { text: "The parser is there." }]);
    await first.shows("The parser is there.");
    const { id } = await rig.begun();
    await rig.turns(id, 1);
    // A client whose sandbox does not start says that only to its model.
    expect(existsSync(rig.path("parser.ts"))).toBe(true);
    await first.resize({ columns: 80, rows: 24 });

    const second = await rig.window();
    await rig.ask(second, deploy, [{ tools: [client.asking("touch deployed.txt")] }]);
    await second.shows(client.asks);
    const states = () => rig.chats().map(({ title, state, detail }) => [title, state, detail]);
    await untilFound(
      () => states().at(-1)?.[1] === "waits",
      () => `the question in ${JSON.stringify(states())}`,
    );
    const [editing, asking] = states();
    // Some clients say after a while that they wait for a prompt.
    expect([
      [edit, "idle", null],
      [edit, "waits", "your next prompt"],
    ]).toContainEqual(editing);
    expect(asking).toEqual([deploy, "waits", "your permission"]);
    // Also where both are of one process.
    await untilFound(
      () => rig.team().length === 2,
      () => `two chats in the team ${JSON.stringify(rig.team())}`,
    );
    expect(rig.team()).toEqual([deploy, edit]);

    await rig.killClient(second);
    const third = await rig.window();
    await rig.ask(third, next);
    const request = await rig.received(next);
    expect(request).toContain(`ago: ${deploy}`);
    expect(request).toContain("it had asked the user for leave to run Bash touch deployed.txt");

    rig.shim("undo", "--session", id, "--yes");
    expect([existsSync(rig.path("parser.ts")), existsSync(rig.path("deployed.txt"))]).toEqual([false, false]);

    await rig.killClient(first);
    await rig.closeWindow(third);
    rig.shim("init", "--remove", "--client", name, "--yes");
    expect(hasShim()).toBe(false);
  },
);

it.each([claudeTerminal, geminiTerminal].map((client) => [client.name, client] as const))(
  "%s: a terminal that is closed while a command runs leaves a chat that died, and the next one has its brief @night",
  async (_name, client) => {
    const rig = await TerminalRig.open(client);
    const window = await rig.window();
    await rig.ask(window, deploy, [{ tools: [client.shell("tail -f one.ts")] }]);
    const isRunning = (): boolean => rig.processes().some(({ command }) => command.join(" ") === "tail -f one.ts");
    await untilFound(isRunning, "the command");
    await rig.closeWindow(window);
    expect(rig.chats()).toMatchObject([{ title: deploy, state: "died" }]);
    await rig.ask(await rig.window(), next);
    expect(await rig.received(next)).toContain("in mid-turn, running Bash tail -f one.ts");
  },
);
