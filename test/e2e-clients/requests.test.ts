import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { codexTerminal, openCodeTerminal, qwenTerminal } from "#harness/clients/terminal-clients.ts";
import { TerminalRig } from "#harness/clients/terminal-rig.ts";
import { write } from "#harness/machine/git-project.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";

it.each([codexTerminal, qwenTerminal, openCodeTerminal].map((client) => [client.name, client] as const))(
  "%s in its terminal: a command is denied from elsewhere while its hook is held, and does not run",
  async (_name, client) => {
    const rig = await TerminalRig.open(client);
    write(rig.paths.home, { "config.json": JSON.stringify({ answers: { isEnabled: true, holdDialogSeconds: 50 } }) });
    const window = await rig.window();
    await rig.ask(window, "make the file", [{ tools: [client.asking("touch one.txt")] }]);
    const list = () => JSON.parse(rig.shim("requests", "--json")) as MachineOutput<"requests.list">;
    const { id } = await untilFound(
      () => list().requests.find(({ canAnswer }) => canAnswer),
      () => `a request in ${JSON.stringify(list())}`,
    );
    rig.shim("requests", "answer", id, "deny", "--message", "Not this one.");
    await untilFound(
      () => list().answers?.some(({ outcome }) => outcome !== "sent"),
      () => `an outcome in ${JSON.stringify(list())}`,
    );
    const [given] = list().answers ?? [];
    expect([given?.decision, given?.outcome, existsSync(rig.path("one.txt"))]).toEqual(["deny", "taken", false]);
  },
);
